#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts what tests/deploy uses into ~/.cache/container-oomkill/tools: helm, kustomize, jsonnet, actionlint,
# and tests/deploy/grafana-schema, which judges a dashboard by Grafana's own schema.
# Built by Go from their modules, once; without Go those tests are left out, with the reason printed.
set -eu

here=$(dirname "$0")
folder="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools"

fetch() { # NAME MODULE VERSION
	if [ "$(cat "$folder/$1.version" 2>/dev/null)" = "$3" ]; then
		return
	fi
	if ! "$here/go.sh"; then
		echo "without it the tests that need $1 are left out" >&2
		return
	fi
	echo "building $1 $3"
	if [ -d "$2" ]; then
		(cd "$2" && go build -o "$folder/$1" .)
	else
		GOBIN="$folder" go install "$2@$3"
	fi
	echo "$3" >"$folder/$1.version"
}

mkdir -p "$folder"
fetch kustomize sigs.k8s.io/kustomize/kustomize/v5 v5.7.1
fetch helm helm.sh/helm/v3/cmd/helm v3.19.5
fetch jsonnet github.com/google/go-jsonnet/cmd/jsonnet v0.22.0
fetch actionlint github.com/rhysd/actionlint/cmd/actionlint v1.7.12
schema="$here/../tests/deploy/grafana-schema"
fetch grafana-schema "$schema" "$(cat "$schema"/go.* "$schema"/*.go | cksum)"
