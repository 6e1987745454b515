#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes of the wheel in dist/ the archive that Krew installs, and its manifest:
#
#   URL=https://HOST/PATH tools/krew.sh
#
# Krew runs nothing at an installation, so the archive has all that the plugin imports: what is
# compiled, for each Python. URL: where the archive will be. The manifest of two architectures needs
# both archives in dist/; of one alone, it is for that one.
set -eu
cd "$(dirname "$0")/.."

pythons='3.11 3.12 3.13 3.14'
compiled='cffi msgspec pyyaml'
pure='urllib3 typing-extensions'
python=${PYTHON:-.venv/bin/python}
url=${URL:-https://example.invalid}
homepage=${HOMEPAGE:-$url}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

set -- dist/container_oomkill-*.whl
[ $# = 1 ] && [ -f "$1" ] || { echo "$0: expected one wheel in dist/, found: $*; make wheel" >&2; exit 1; }
wheel=$1
version=$(basename "$wheel" | cut -d- -f2)
case $wheel in
*_x86_64.whl) arch=amd64 machine=x86_64 ;;
*_aarch64.whl) arch=arm64 machine=aarch64 ;;
*) echo "$0: no plugin for $wheel" >&2; exit 1 ;;
esac

# As in the images; of one that is not in there, whatever is newest.
pinned() {
	for name in "$@"; do
		sed -n "s/^\($(echo "$name" | sed 's/-/[-_]/g')==[^ ]*\).*/\1/p" deploy/docker/requirements.txt |
			grep . || echo "$name"
	done
}
install() { # FOLDER NAME...
	folder=$1
	shift
	"$python" -m pip install -q --no-compile --no-deps --only-binary :all: --implementation cp \
		--platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
		--platform "manylinux_2_28_$machine" --python-version "${release:-3.11}" \
		--disable-pip-version-check --root-user-action ignore -t "$folder" $(pinned "$@")
	rm -rf "$folder/bin"
}

umask 022
root=build/krew
rm -rf "$root"
mkdir -p "$root/lib"
unzip -q "$wheel" 'container_oomkill/*' -d "$root/lib"
# The plugin attaches nothing, and serves nothing.
rm -rf "$root"/lib/container_oomkill/*.bpf.o "$root/lib/container_oomkill/libbpf" \
	"$root/lib/container_oomkill/exporter" "$root/lib/container_oomkill/history" \
	"$root/lib/container_oomkill/probe" "$root/lib/container_oomkill/metrics"
find "$root/lib/container_oomkill/web" -name '*.so' -delete 2>/dev/null || true
install "$root/lib" $pure
for release in $pythons; do
	install "$root/cp$(echo "$release" | tr -d .)" $compiled
done
find "$root" -name '__pycache__' -prune -exec rm -rf {} +
cp deploy/krew/kubectl-oomkill deploy/krew/main.py LICENSES/Apache-2.0.txt "$root/"
chmod -R u=rwX,go=rX "$root"

archive=dist/kubectl-oomkill-$version-linux-$arch.tar.gz
tar -C "$root" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
	--format=gnu -cf - . | gzip -9n >"$archive"
echo "$archive"

# A platform from its "- selector" to its "bin"; the one without an archive is left out.
set -- -e "s|<VERSION>|$version|; s|<URL>|$url|; s|<HOMEPAGE>|$homepage|"
for each in amd64 arm64; do
	file=dist/kubectl-oomkill-$version-linux-$each.tar.gz
	if [ -f "$file" ]; then
		set -- "$@" -e "s|<SHA256-$each>|$(sha256sum "$file" | cut -d' ' -f1)|"
	fi
done
sed "$@" deploy/krew/oomkill.yaml | awk '
	/^ *- selector:/ { held = ""; holding = 1 }
	holding { held = held $0 "\n"; if (/^ *bin:/) { holding = 0; if (held !~ /<SHA256/) printf "%s", held } next }
	{ print }' >dist/oomkill.yaml
echo dist/oomkill.yaml
