#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a .deb and an .rpm in dist/ of WHEEL (default: the only one in dist/), with nfpm. The same
# wheel, commit and tools give the same bytes. A wheel for another machine comes after this machine's
# own, which writes the man pages.
set -eu
cd "$(dirname "$0")/.."

name=container-oomkill
nfpm=$(tools/nfpm.sh)
python=${PYTHON:-.venv/bin/python}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

if [ $# = 0 ]; then
	set -- dist/container_oomkill-*.whl
	rm -f dist/*.deb dist/*.rpm
fi
[ $# = 1 ] && [ -f "$1" ] || { echo "$0: expected one wheel in dist/, found: $*; make wheel" >&2; exit 1; }
wheel=$1
tag=$(basename "$wheel" .whl | sed 's/.*-manylinux_//') # 2_36_x86_64
PACKAGE_GLIBC=$(echo "$tag" | sed 's/_/./; s/_.*//')
# 0.1.0rc1 comes before 0.1.0, and both kinds of package say so by a tilde.
version=$(basename "$wheel" | cut -d- -f2)
PACKAGE_VERSION=$(echo "$version" | sed -E 's/([0-9])(a|b|rc|\.dev)([0-9])/\1~\2\3/')
case $tag in
*_x86_64) PACKAGE_ARCH=amd64 ;;
*_aarch64) PACKAGE_ARCH=arm64 ;;
*) echo "$0: no package for $tag" >&2; exit 1 ;;
esac
export PACKAGE_ARCH PACKAGE_GLIBC PACKAGE_VERSION

umask 022
build=build/packages
man=build/man-$version
root=$build/root
modules=$root/usr/lib/container-oomkill
rm -rf "$build"
mkdir -p "$modules" "$root/usr/bin" "$root/usr/lib/systemd/system" "$root/usr/share/man/man1" \
	"$root/usr/share/doc/container-oomkill"

# What the images have, by hash; what is compiled for one Python is the distribution's.
awk -v wanted=' htpy prometheus-client pyelftools typing_extensions ' '
	/^[a-z]/ { split($0, name, "=="); kept = index(wanted, " " name[1] " ") }
	/^#/ { next }
	kept' deploy/docker/requirements.txt >"$build/requirements.txt"
"$python" -m pip install -q --no-compile --no-deps --only-binary :all: --require-hashes \
	--disable-pip-version-check --root-user-action ignore -t "$modules" -r "$build/requirements.txt"
rm -rf "$modules/bin"
"$python" -m pip install -q --no-compile --no-deps --no-index --only-binary :all: \
	--platform "manylinux_$tag" --python-version 3.11 --implementation cp --abi abi3 \
	--disable-pip-version-check --root-user-action ignore -t "$modules" "$wheel"
# What pip writes of this machine: where it had the wheel from, and the program that it made.
rm -rf "$modules/bin" "$modules"/*.dist-info/direct_url.json "$modules"/*.dist-info/RECORD \
	"$modules"/*.dist-info/REQUESTED

cp deploy/packages/container-oomkill deploy/packages/kubectl-oomkill "$root/usr/bin/"
sed 's|/usr/local/bin/|/usr/bin/|; /^# cp /d' deploy/systemd/container-oomkill.service \
	>"$root/usr/lib/systemd/system/container-oomkill.service"
cp deploy/packages/copyright README.md CHANGELOG.md "$root/usr/share/doc/container-oomkill/"
if [ "${tag#*_*_}" = "$(uname -m)" ]; then
	rm -rf "$man"
	mkdir "$man"
	PYTHONPATH=$modules "$python" -B -m container_oomkill.cli.man_pages "$man"
elif [ ! -d "$man" ]; then
	echo "$0: no man pages yet: first the packages of the wheel for $(uname -m)" >&2
	exit 1
fi
cp "$man"/* "$root/usr/share/man/man1/"
gzip -9n "$root"/usr/share/man/man1/*.1 "$root/usr/share/doc/container-oomkill/CHANGELOG.md"

chmod -R u=rwX,go=rX "$root"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
rm -f dist/*_"$PACKAGE_ARCH.deb" dist/*."${tag#*_*_}.rpm"
# Named by the version without a tilde, which GitHub would replace in a release's file.
for file in "${name}_${version}_$PACKAGE_ARCH.deb" "$name-$version-1.${tag#*_*_}.rpm"; do
	"$nfpm" package -f deploy/packages/nfpm.yaml -p "${file##*.}" -t "dist/$file" \
		>"$build/log" 2>&1 || { cat "$build/log" >&2; exit 1; }
	echo "dist/$file"
done
