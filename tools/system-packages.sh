#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes what is to be done (build, test), installs the Debian or Ubuntu packages still missing for it.
set -eu

build="gcc libc6-dev clang llvm libbpf-dev python3-dev python3-venv"
test="$build qemu-system-x86 busybox-static kmod xz-utils libelf-dev debian-archive-keyring
	clang-format prometheus"

case "${1-}" in
build) wanted=$build ;;
test) wanted=$test ;;
*) echo "usage: $0 build|test" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "no dpkg here: install the counterparts of" $wanted >&2
	exit 0
fi
missing=
for package in $wanted; do
	case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

echo "installing$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
