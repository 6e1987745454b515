#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes deploy/grafana/dashboards from the mixin, with the jsonnet of tools/kubernetes-tools.sh.
set -eu
cd "$(dirname "$0")/.."

jsonnet="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools/jsonnet"
[ -x "$jsonnet" ] || jsonnet=jsonnet
folder=deploy/grafana/dashboards
"$jsonnet" -m "$folder" -e '(import "deploy/mixin/mixin.libsonnet").grafanaDashboards'
