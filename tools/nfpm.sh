#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints where nfpm is, which makes .deb and .rpm. Go builds it, once, into ~/.cache/container-oomkill/tools.
set -eu

nfpm_module=github.com/goreleaser/nfpm/v2/cmd/nfpm
nfpm_version=v2.43.4
nfpm=${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools/nfpm-$nfpm_version/nfpm

if [ ! -x "$nfpm" ]; then
	"$(dirname "$0")/go.sh"
	echo "building nfpm $nfpm_version" >&2
	GOBIN="$(dirname "$nfpm")" nice go install "$nfpm_module@$nfpm_version"
fi
echo "$nfpm"
