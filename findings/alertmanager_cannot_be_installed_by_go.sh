#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Alertmanager 0.35.0 cannot be installed by `go install`: its module has no built web interface.
#
# A good guess: what is a Go module with a main package, and is installed like that in many a test and
# CI (as Prometheus 3.16, promtool, kustomize and helm can be), installs; or fails to compile.
# Seen: go refuses before it compiles anything, as `//go:embed app/dist` matches no file: the
# interface's bundle is made by npm at a release and is not in the repository. Prometheus leaves its
# own one out unless a build tag (builtinassets) asks for it; Alertmanager has no such tag.
#
# Output seen:
#   alertmanager v0.35.0: ui/web.go:31:12: pattern app/dist: no matching files found
set -euo pipefail
version=v0.35.0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GOMODCACHE="$folder/modules" GOBIN="$folder/bin" GOFLAGS="-modcacherw -buildvcs=false"
if go install "github.com/prometheus/alertmanager/cmd/alertmanager@$version" 2>"$folder/log"; then
	echo "it installs" >&2
	exit 1
fi
said=$(grep -o 'ui/web.go:.*' "$folder/log")
echo "alertmanager $version: $said"
[ "$said" = "ui/web.go:31:12: pattern app/dist: no matching files found" ]
[ ! -e "$folder/bin/alertmanager" ]
