#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes debian:trixie-slim where it cannot be pulled: debootstrap, slimmed as the official image is.
# Takes the mirror, or has debootstrap's default, and an architecture: another than this machine's,
# for which qemu-user-static must be registered, gets a name of its own, debian:trixie-slim-arm64.
# As root; what it makes is gone with `docker rmi`.
set -eu

mirror=${1-}
arch=${2-$(dpkg --print-architecture)}
name=debian:trixie-slim
[ "$arch" = "$(dpkg --print-architecture)" ] || name=$name-$arch
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 2; }
root=$folder/root
debootstrap --arch="$arch" --variant=minbase trixie "$root" $mirror >"$folder/log" 2>&1 ||
	{ tail -n 5 "$folder/log" >&2; exit 1; }

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/tmp/*
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
for extra in man info locale lintian linda groff; do
	find "$root/usr/share/$extra" -mindepth 1 -delete 2>/dev/null || :
done
cat >"$root/etc/dpkg/dpkg.cfg.d/docker" <<'RULES'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
RULES
printf 'APT::Install-Recommends "false";\n' >"$root/etc/apt/apt.conf.d/docker"

# Not `docker import`, which takes every image for one of the engine's own architecture.
tar -C "$root" --sort=name --numeric-owner -cf "$folder/base.tar" .
printf 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n' >"$folder/Dockerfile"
rm -rf "$root"
DOCKER_BUILDKIT=1 docker build -q --platform "linux/$arch" -t "$name" "$folder" >/dev/null
docker image inspect -f "$name {{.Id}} {{.Architecture}} {{.Size}} bytes" "$name"
