#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts a current Prometheus, its promtool, and Alertmanager into ~/.cache/container-oomkill/tools, for
# tests/prometheus. Prometheus is built by Go from its module, once, which takes five minutes or more
# and 3 GB of Go's cache; Alertmanager is the distribution's, unpacked and never started as a service.
set -eu

version=v0.316.0 # of the module: Prometheus 3.16.0
tools="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools"
mkdir -p "$tools"
folder=$(mktemp -d "$tools/unfinished.XXXXXX")
trap 'rm -rf "$folder"' EXIT

if [ ! -x "$tools/prometheus-$version/prometheus" ]; then
	"$(dirname "$0")/go.sh"
	echo "building Prometheus $version"
	mkdir "$folder/prometheus"
	GOBIN="$folder/prometheus" nice go install \
		"github.com/prometheus/prometheus/cmd/prometheus@$version" \
		"github.com/prometheus/prometheus/cmd/promtool@$version"
	rm -rf "$tools/prometheus-$version"
	mv "$folder/prometheus" "$tools/prometheus-$version"
fi

if [ ! -x "$tools/alertmanager/bin/prometheus-alertmanager" ]; then
	echo "unpacking Alertmanager"
	mkdir "$folder/alertmanager"
	(cd "$folder" && apt-get download -qq prometheus-alertmanager)
	dpkg-deb --fsys-tarfile "$folder"/prometheus-alertmanager_*.deb |
		tar -x -C "$folder/alertmanager" --strip-components=2 ./usr/bin ./usr/share/prometheus
	rm -rf "$tools/alertmanager"
	mv "$folder/alertmanager" "$tools/alertmanager"
fi
