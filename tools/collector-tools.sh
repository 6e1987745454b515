#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts a real OpenTelemetry Collector into ~/.cache/container-oomkill/tools, for tests/collector: an
# OTLP receiver and a file exporter. Built by Go from tests/collector/program, once.
set -eu

tools="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools"
source="$(dirname "$0")/../tests/collector/program"
version=$(cat "$source"/go.* "$source"/*.go | cksum)
if [ "$(cat "$tools/collector.version" 2>/dev/null)" = "$version" ]; then
	exit
fi
if ! command -v go >/dev/null; then
	echo "$0: no go here: install Go 1.26 or newer" >&2
	exit 1
fi
echo "building the OpenTelemetry Collector"
mkdir -p "$tools"
folder=$(mktemp -d "$tools/unfinished.XXXXXX")
trap 'rm -rf "$folder"' EXIT
(cd "$source" && nice go build -trimpath -o "$folder/collector" .)
mv "$folder/collector" "$tools/collector"
echo "$version" >"$tools/collector.version"
