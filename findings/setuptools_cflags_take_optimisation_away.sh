#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# setuptools: a CFLAGS in the environment takes Python's own flags away, and with them -O3.
#
# One expects CFLAGS=-I... to add a folder, and in setuptools 65.5 it does. Now it stands instead of
# what Python was built with: an extension is compiled without optimisation and with its assertions.
# 80.9 does that already. What comes of that depends on the compiler: `zig cc` without -O compiles in its
# undefined behaviour sanitizer, and a library of 5 KB has 4 MB.
#
# Seen with setuptools 84.2.1, the flags for optimisation and assertions that the compiler gets:
#
#     as it is: -DNDEBUG -O3
#     CFLAGS=-DOURS:
#
# Fails if that changes. Needs no root: pip, gcc and Python's headers.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset CFLAGS CPPFLAGS CC
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check setuptools==84.2.1
echo 'int nothing;' >x.c
echo 'from setuptools import Extension, setup
setup(name="x", version="1", ext_modules=[Extension("x", ["x.c"])])' >setup.py

compiled() { # the flags of the command that compiles x.c
	rm -rf build
	venv/bin/python setup.py -v build_ext 2>&1 | grep -m 1 -- ' -c x.c' |
		grep -oE -- '(-DNDEBUG|-O[0-9s])( |$)' | tr -d ' ' | sort -u | paste -sd ' '
}
echo "setuptools $(venv/bin/python -c 'import setuptools; print(setuptools.__version__)')"
before=$(compiled)
echo "as it is: $before"
after=$(CFLAGS=-DOURS compiled)
echo "CFLAGS=-DOURS: $after"
case $before in
*-O*) ;;
*) echo "this Python was built without -O: nothing to see here" >&2; exit 1 ;;
esac
[ -z "$after" ] || { echo "it was: no optimisation; now it is $after" >&2; exit 1; }
