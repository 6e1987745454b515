# SPDX-License-Identifier: Apache-2.0
"""The emulator of an architecture: the same version of QEMU on every machine.

Debian's packages, unpacked in the cache with the libraries they need, not installed. A machine's
own QEMU may be older than 8.1, which let one emulated CPU translate code while another patched it
("accel/tcg: Always lock pages before translation"): kernels died of it, of an int3 left behind.
"""

import shutil
import tempfile
from pathlib import Path

from tests.vm import mirror, unpacked
from tests.vm.apt import Apt
from tests.vm.packages import cache_dir, digest, locked
from tests.vm.table import ARCHES, NATIVE

SUITES = ("trixie", "trixie-updates", "trixie-security")
_PACKAGES = {"amd64": "qemu-system-x86", "arm64": "qemu-system-arm"}
_BEFORE = ('export QEMU_MODULE_DIR="$libraries/qemu"',)
_ARGUMENTS = ('-L "$root/usr/share/qemu"', '-L "$root/usr/share/seabios"')


def ensure(arch: str) -> Path:
    """QEMU's path; raises PackageError where Debian's mirror cannot be had."""
    machine = next(machine for machine, name in ARCHES.items() if name == arch)
    cache = cache_dir() / "emulators"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{arch}-{digest(SUITES, _PACKAGES[arch], _BEFORE, _ARGUMENTS)}"
    program = root / f"qemu-system-{machine}"
    with locked(cache / "lock"):
        if not root.exists():
            for stale in cache.glob(f"*{arch}-*"):  # of another QEMU, or of a run that was killed
                shutil.rmtree(stale)
            _unpack(_PACKAGES[arch], program.name, root)
    return program


def _unpack(package: str, program: str, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as name:
        folder = Path(name)
        root = folder / "root"
        apt = Apt(folder / "apt", mirror.find(), SUITES, NATIVE)
        apt.update()
        print(f"fetch the emulator: {package} of {SUITES[0]}", flush=True)
        unpacked.unpack(apt, [package], root)
        unpacked.starter(root, f"usr/bin/{program}", before=_BEFORE, arguments=_ARGUMENTS)
        root.rename(place)
