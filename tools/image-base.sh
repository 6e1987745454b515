#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes debian:trixie-slim where it cannot be pulled: debootstrap, slimmed as the official image is.
# Takes the mirror, or has debootstrap's default. As root; what it makes is gone with `docker rmi`.
set -eu

name=debian:trixie-slim
mirror=${1-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

command -v debootstrap >/dev/null || { echo "apt-get install debootstrap" >&2; exit 2; }
root=$folder/root
debootstrap --variant=minbase trixie "$root" $mirror >"$folder/log" 2>&1 ||
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

tar -C "$root" --sort=name --numeric-owner -c . | docker import - "$name" >/dev/null
docker image inspect -f "$name {{.Id}} {{.Size}} bytes" "$name"
