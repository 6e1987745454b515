#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the committed wheel twice, in two folders, under another time, zone, language and order of
# files; fails unless both are the same bytes. Prints their checksum: that of a release's wheel, where
# compiler, libbpf and libseccomp are the same.
set -eu
cd "$(dirname "$0")/.."

python=$(command -v "${PYTHON:-.venv/bin/python}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

build() ( # FOLDER: relative to $folder; more environment from the caller
	mkdir -p "$folder/$1"
	git archive HEAD | (umask 022 && tar -x --no-same-permissions -C "$folder/$1")
	cd "$folder/$1"
	find . -exec touch -d "$2" {} +
	unset PYTHONPATH
	"$python" -m pip wheel -q --no-deps --no-build-isolation -w build/wheel .
	PATH="$(dirname "$python"):$PATH" "$python" -m auditwheel repair -w dist build/wheel/*.whl \
		>build/log 2>&1 || { cat build/log >&2; exit 1; }
)

TZ=UTC LC_ALL=C build one '2021-05-05 05:05:05'
TZ=Asia/Kathmandu LC_ALL=C.UTF-8 PYTHONHASHSEED=7 build other/and/deeper '2024-12-12 12:12:12'

if cmp "$folder"/one/dist/*.whl "$folder"/other/and/deeper/dist/*.whl; then
	(cd "$folder/one/dist" && sha256sum ./*.whl)
else
	echo "two builds of one commit differ: unpack both and compare" >&2
	exit 1
fi
