#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes all of a release but the images, and publishes nothing: `release.sh VERSION`. In dist/ are then
# the wheels for x86-64 and arm64 and their SBOM, the sdist, .deb and .rpm of both, the chart, the
# Kubernetes manifests, the changelog's part, and SHA256SUMS. IMAGES, names of images as they were
# pushed, HOST/PATH/NAME@sha256:..., are what chart and manifests then deploy.
#
# From the commit that is checked out, in a folder of its own: what is not committed is left out, and
# nothing here changes but dist/. Where the commit has another version, VERSION is cut there first
# (tools/version.py). The same commit and tools give the same bytes.
set -eu
cd "$(dirname "$0")/.."

version=${1:?which: release.sh 0.1.0}
python=$(command -v "${PYTHON:-.venv/bin/python}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
helm="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/tools/helm"
tools/kubernetes-tools.sh
[ -x "$helm" ] || helm=$(command -v helm) || { echo "$0: no helm here, and no Go to build it" >&2; exit 1; }

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
# shellcheck disable=SC2086 # names, several
"$python" tools/chart.py . ${IMAGES-}
mkdir -p dist build
case $(uname -m) in
x86_64) machines='x86_64 aarch64' ;;
*) machines='aarch64 x86_64' ;; # this one's packages come first
esac

echo "wheels"
# shellcheck disable=SC2086 # words
PYTHON=$python tools/wheel/build.sh $machines >build/log || { cat build/log >&2; exit 1; }
for wheel in dist/*.whl; do # the same in both
	unzip -p "$wheel" '*.dist-info/sboms/*.cdx.json' >dist/wheel.cdx.json
done

echo "sdist"
"$python" -c 'import setuptools.build_meta as made; made.build_sdist("build/sdist")' >build/log 2>&1 ||
	{ cat build/log >&2; exit 1; }
tar -xf build/sdist/*.tar.gz -C build/sdist
name=container_oomkill-$version
pack "dist/$name.tar.gz" build/sdist "$name"

echo "packages"
for machine in $machines; do
	PYTHON=$python tools/packages.sh dist/*_"$machine".whl >build/log || { cat build/log >&2; exit 1; }
done

echo "chart"
"$helm" package -d build/chart deploy/helm/container-oomkill >build/log 2>&1 ||
	{ cat build/log >&2; exit 1; }
chart=$(basename build/chart/*.tgz)
tar -xf "build/chart/$chart" -C build/chart # as helm has it, but it writes the time into it
pack "dist/$chart" build/chart container-oomkill

echo "manifests"
manifests=container-oomkill-manifests-$version
mkdir -p "build/manifests/$manifests"
cp -a deploy/kubernetes deploy/grafana "build/manifests/$manifests/"
pack "dist/$manifests.tar.gz" build/manifests "$manifests"

awk -v heading="## [$version]" 'index($0, heading) == 1 { on = 1; next } /^## / { on = 0 } on' \
	CHANGELOG.md >dist/CHANGES.md
(cd dist && sha256sum -- * >../SHA256SUMS && mv ../SHA256SUMS .)

cd "$OLDPWD"
mkdir -p dist
# Another version's would be published beside these; what `make image` has put there stays.
rm -f dist/*.whl dist/*.tar.gz dist/*.tgz dist/*.deb dist/*.rpm dist/wheel.cdx.json dist/SHA256SUMS
cp "$folder"/dist/* dist/
cat dist/SHA256SUMS
