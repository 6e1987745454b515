#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds libraries.txt for the wheels, for the machine x86_64 or aarch64, and prints the folder where
# bin, include and lib are; bin has the compiler, for glibc 2.28: RHEL 8, Debian 10, Ubuntu 18.10, and
# later ones. Once: the cache keeps it. V=1 shows the output.
#
# The distribution's own libraries would ask for its own C library; so their sources are built here,
# from Debian's mirror (APT_MIRROR: another), checked by their hashes. The same bytes in any folder.
set -eu

machine=${1:?which machine: libraries.sh x86_64}
python=$(command -v "${PYTHON:-python3}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
cd "$(dirname "$0")"
glibc=2.28
cache="${XDG_CACHE_HOME:-$HOME/.cache}/container-oomkill/wheel"
made=$cache/$machine-$(cat libraries.sh libraries.txt requirements.txt | sha256sum | cut -c1-12)
if [ -d "$made" ]; then
	echo "$made"
	exit
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/unfinished.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/made/bin" "$work/made/include" "$work/made/lib" "$work/sources" "$work/build"

compiler() {
	zig=$cache/zig-$(sha256sum <requirements.txt | cut -c1-12)
	if [ ! -d "$zig" ]; then
		"$python" -m pip install -q --no-deps --no-compile --only-binary :all: --require-hashes \
			--disable-pip-version-check --root-user-action ignore -t "$work/zig" -r requirements.txt
		mv "$work/zig" "$zig"
	fi
	# Scripts, since libtool takes the first word of CC alone. -O2 for what comes without: zig builds
	# that with its undefined behaviour sanitizer, 4 MB of it. -g0: the sections would name the folder.
	for tool in "cc -target $machine-linux-gnu.$glibc -O2 -g0" ar ranlib; do
		script=$work/made/bin/${tool%% *}
		printf '#!/bin/sh\nexec "%s/ziglang/zig" %s "$@"\n' "$zig" "$tool" >"$script"
		chmod +x "$script"
	done
}

sources() {
	# shellcheck disable=SC2046 # names, several
	./sources.sh "$work/sources" $(names)
	awk '/^[a-z]/ { print $4 "  " $3 }' libraries.txt >"$work/sums"
	(cd "$work/sources" && sha256sum --quiet -c "$work/sums")
	for file in "$work"/sources/*.orig.tar.*; do
		tar -xf "$file" -C "$work/build"
	done
}

names() {
	awk '/^[a-z]/ { print $1 }' libraries.txt
}

configured() {
	./configure -q --host="$machine-linux-gnu" --prefix=/usr --disable-static "$@"
}

# Only to link with.
zlib() {
	# shellcheck disable=SC2086 # options, several
	$CC $CFLAGS $LDFLAGS -shared -DHAVE_UNISTD_H -Wl,-soname,libz.so.1 -o "$lib/libz.so.1" ./*.c
	ln -s libz.so.1 "$lib/libz.so"
	cp zlib.h zconf.h "$include"
}

# Without what reads compressed debug files: a kernel's types are not compressed.
elfutils() {
	./configure -q --host="$machine-linux-gnu" --disable-debuginfod --disable-libdebuginfod \
		--disable-demangler --disable-nls --without-zstd --without-bzlib --without-lzma
	make -s -C lib
	make -s -C libelf libelf.so
	cp libelf/libelf.so "$lib/libelf.so.1"
	ln -s libelf.so.1 "$lib/libelf.so"
	cp libelf/libelf.h libelf/gelf.h "$include"
}

libbpf() {
	make -s -C src NO_PKG_CONFIG=1 CFLAGS="$CFLAGS $CPPFLAGS" LDFLAGS="$LDFLAGS" DESTDIR="$work/root" \
		PREFIX=/ LIBSUBDIR=lib UAPIDIR=/include install install_uapi_headers
	cp -a "$work"/root/lib/libbpf.so* "$lib"
	cp -a "$work/root/include/." "$include"
}

libseccomp() {
	configured
	make -s -C include
	make -s -C src libseccomp.la
	cp -a src/.libs/libseccomp.so* "$lib"
	cp include/seccomp.h include/seccomp-syscalls.h "$include"
}

libxcrypt() {
	autoreconf -fi
	configured --disable-obsolete-api --disable-werror
	make -s libcrypt.la
	cp -a .libs/libcrypt.so* "$lib"
	cp crypt.h "$include"
}

build() {
	cd "$work"/build/"$1"-*/
	"$1"
}

include=$work/made/include
lib=$work/made/lib
CC=$work/made/bin/cc
AR=$work/made/bin/ar
RANLIB=$work/made/bin/ranlib
CPPFLAGS="-I$include"
CFLAGS="-fPIC -ffile-prefix-map=$work=."
LDFLAGS="-L$lib -s"
MAKEFLAGS=-j$(nproc)
ZIG_GLOBAL_CACHE_DIR=$cache/zig-cache
export CC AR RANLIB CPPFLAGS CFLAGS LDFLAGS MAKEFLAGS ZIG_GLOBAL_CACHE_DIR
unset CXX LD_LIBRARY_PATH

compiler
sources
for name in $(names); do
	echo "building $name for $machine" >&2
	# By itself: as a part of a condition it would not end at its first command that fails.
	set +e
	(set -e; build "$name") >"$work/log" 2>&1
	status=$?
	set -e
	[ "$status" -eq 0 ] || { tail -n 30 "$work/log" >&2; exit 1; }
done
# Another build may have been faster.
mv -T "$work/made" "$made" 2>/dev/null || [ -d "$made" ]
echo "$made"
