#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes all of a release but the images, and publishes nothing: `release.sh VERSION`. In dist/ are then
# the wheel and its SBOM, the sdist, .deb, .rpm, the chart, the changelog's part, and SHA256SUMS-MACHINE.
#
# From the commit that is checked out, in a folder of its own: what is not committed is left out, and
# nothing here changes but dist/. Where the commit has another version, VERSION is cut there first
# (tools/version.py). The same commit, tools and libraries give the same bytes.
set -eu
cd "$(dirname "$0")/.."

version=${1:?which: release.sh 0.1.0}
python=$(command -v "${PYTHON:-.venv/bin/python}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
helm="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools/helm"
tools/kubernetes-tools.sh
[ -x "$helm" ] || helm=$(command -v helm) || { echo "$0: no helm and no go here: install Go" >&2; exit 1; }

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
unset PYTHONPATH
umask 022
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

pack() { # FILE FOLDER NAME: a tar of FOLDER/NAME that says nothing of when and by whom it was made
	tar -C "$2" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode=u+rw,go=rX,a-s --format=gnu -cf - "$3" | gzip -9n >"$1"
}

git archive HEAD | tar -x --no-same-permissions -C "$folder"
cd "$folder"
"$python" tools/version.py "$version" "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)"
mkdir -p dist build

echo "wheel"
"$python" -m pip wheel -q --no-deps --no-build-isolation -w build/wheel .
PATH="$(dirname "$python"):$PATH" "$python" -m auditwheel repair -w dist build/wheel/*.whl \
	>build/log 2>&1 || { cat build/log >&2; exit 1; }
unzip -p dist/*.whl '*.dist-info/sboms/*.cdx.json' >"dist/wheel-$(uname -m).cdx.json" # auditwheel's

echo "sdist"
"$python" -c 'import setuptools.build_meta as made; made.build_sdist("build/sdist")' >build/log 2>&1 ||
	{ cat build/log >&2; exit 1; }
tar -xf build/sdist/*.tar.gz -C build/sdist
name=container_oomkill-$version
pack "dist/$name.tar.gz" build/sdist "$name"

echo "packages"
PYTHON=$python tools/packages.sh >build/log || { cat build/log >&2; exit 1; }

echo "chart"
"$helm" package -d build/chart deploy/helm/container-oomkill >build/log 2>&1 ||
	{ cat build/log >&2; exit 1; }
chart=$(basename build/chart/*.tgz)
tar -xf "build/chart/$chart" -C build/chart # as helm has it, but it writes the time into it
pack "dist/$chart" build/chart container-oomkill

awk -v heading="## [$version]" 'index($0, heading) == 1 { on = 1; next } /^## / { on = 0 } on' \
	CHANGELOG.md >dist/CHANGES.md
sums=SHA256SUMS-$(uname -m)
(cd dist && sha256sum -- * >"../$sums" && mv "../$sums" .)

cd "$OLDPWD"
mkdir -p dist
# Another version's would be published beside these; what `make image` has put there stays.
rm -f dist/*.whl dist/*.tar.gz dist/*.tgz dist/*.deb dist/*.rpm dist/wheel-*.cdx.json dist/SHA256SUMS-*
cp "$folder"/dist/* dist/
cat "dist/$sums"
