#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts a real OpenTelemetry Collector and a real Loki into ~/.cache/container-oomkill/tools, for
# tests/collector. Built by Go, once: the first from tests/collector/program, an OTLP receiver and a file
# exporter; the second from its module, which takes ten minutes or more and 5 GB of Go's cache.
set -eu

loki=v3.7.8
tools="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools"
source="$(cd "$(dirname "$0")/../tests/collector/program" && pwd)"
mkdir -p "$tools"
folder=$(mktemp -d "$tools/unfinished.XXXXXX")
trap 'rm -rf "$folder"' EXIT

is_built() { # NAME VERSION
	[ "$(cat "$tools/$1.version" 2>/dev/null)" = "$2" ] && return
	"$(dirname "$0")/go.sh" || exit 1
	echo "building $1 $2"
	return 1
}

keep() { # NAME VERSION
	mv "$folder/$1" "$tools/$1"
	echo "$2" >"$tools/$1.version"
}

version=$(cat "$source"/go.* "$source"/*.go | cksum)
if ! is_built collector "$version"; then
	(cd "$source" && nice go build -trimpath -o "$folder/collector" .)
	keep collector "$version"
fi

if ! is_built loki "$loki"; then
	module=github.com/grafana/loki
	found=$(go mod download -json "$module/v3@$loki" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	# Its replacements count in the main module alone, so ours begins as a copy of its own. The part of it
	# that it replaces by a folder is a module, too.
	mkdir "$folder/module"
	sed -e "s,^module .*,module here," -e "\\,^replace $module/pkg/push ,d" "$found/go.mod" >"$folder/module/go.mod"
	cat "$found/go.sum" >"$folder/module/go.sum"
	printf 'package main\n\nimport _ "%s/v3/pkg/loki"\n\nfunc main() {}\n' "$module" >"$folder/module/main.go"
	(
		cd "$folder/module"
		go mod edit -require="$module/v3@$loki"
		go mod tidy -e 2>/dev/null
		nice go build -trimpath -ldflags '-s -w' -o "$folder/loki" "$module/v3/cmd/loki"
	)
	keep loki "$loki"
fi
