#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pushes the chart in dist/ (make release) as an OCI artifact, oci://$REGISTRY/charts/container-oomkill,
# beside the images of tools/image.sh. HELM_OPTIONS: --plain-http for a registry without TLS.
set -eu
cd "$(dirname "$0")/.."

: "${REGISTRY:?where to: make push-chart REGISTRY=HOST/PATH}"
helm="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools/helm"
[ -x "$helm" ] || helm=$(command -v helm) || { echo "$0: no helm here: tools/kubernetes-tools.sh" >&2; exit 1; }
set -- "${DIST:-dist}"/container-oomkill-*.tgz
[ $# = 1 ] && [ -f "$1" ] || { echo "$0: expected one chart in dist/, found: $*; make release" >&2; exit 1; }
# shellcheck disable=SC2086 # options, several
"$helm" push "$1" "oci://$REGISTRY/charts" ${HELM_OPTIONS-} 2>&1 # its digest, too
