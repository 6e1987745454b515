#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the wheel of the sources here for each MACHINE given (x86_64, aarch64), into dist/: for every
# Python from 3.11 on and every C library from glibc 2.28 on, with the libraries of libraries.txt
# and their SBOM inside. On any machine; the same bytes each time.
set -eu
cd "$(dirname "$0")/../.."

python=$(command -v "${PYTHON:-.venv/bin/python}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
ZIG_GLOBAL_CACHE_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/wheel/zig-cache
export SOURCE_DATE_EPOCH ZIG_GLOBAL_CACHE_DIR
unset PYTHONPATH LDFLAGS

# A distribution's pyconfig.h leads to that of the machine the compiler works for, which only this
# machine's own Python has. The stable ABI uses the sizes of C types in it: on both they are the same.
other_machines_headers() {
	version=$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}")')
	own=/usr/include/$(uname -m)-linux-gnu/$version
	[ ! -d "$own" ] || { mkdir -p "$1/$2-linux-gnu" && ln -s "$own" "$1/$2-linux-gnu/$version"; }
}

wheel() ( # MACHINE
	made=$(PYTHON=$python tools/wheel/libraries.sh "$1")
	work=build/wheel-$1
	rm -rf "$work" build/lib.* build/temp.* build/bdist.* dist/container_oomkill-*manylinux*_"$1".whl
	mkdir -p "$work/include"
	other_machines_headers "$PWD/$work/include" "$1"
	CC=$made/bin/cc
	LDSHARED="$CC -shared -s -L$made/lib"
	# Instead of Python's own, which were for its own compiler.
	CFLAGS="-O2 -DNDEBUG -I$made/include -I$PWD/$work/include"
	export CC LDSHARED CFLAGS BPF_MACHINE="$1" _PYTHON_HOST_PLATFORM="linux-$1"
	"$python" -m pip wheel -q --no-deps --no-build-isolation -w "$work" .
	"$python" tools/wheel/sbom.py tools/wheel/libraries.txt "$work"/*.whl
	PATH="$(dirname "$python"):$PATH" AUDITWHEEL_LD_LIBRARY_PATH="$made/lib" \
		"$python" -m auditwheel repair --only-plat -w dist "$work"/*.whl >"$work/log" 2>&1 ||
		{ cat "$work/log" >&2; exit 1; }
	set -- dist/container_oomkill-*-manylinux_2_28_"$1".whl
	[ -f "$1" ] || { cat "$work/log" >&2; echo "$0: no wheel for glibc 2.28" >&2; exit 1; }
	rm -rf "$work"
	echo "$1"
)

[ $# != 0 ] || { echo "usage: $0 x86_64|aarch64..." >&2; exit 2; }
for machine; do
	wheel "$machine"
done
