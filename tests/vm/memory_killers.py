# SPDX-License-Identifier: Apache-2.0
"""The two OOM killers of user space, systemd-oomd and earlyoom, for guests to run.

Debian's packages, unpacked in the cache with the libraries they need, not installed: on every
machine the same versions, whatever its own release is.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.vm import mirror, unpacked
from tests.vm.apt import Apt
from tests.vm.packages import cache_dir, digest, locked
from tests.vm.table import NATIVE

SUITES = ("trixie", "trixie-updates", "trixie-security")
PACKAGES = ("earlyoom", "systemd-oomd", "util-linux")  # of the last, setpriv


def ensure() -> Path:
    """Return the folder to change root to; raises PackageError where there is no mirror."""
    cache = cache_dir() / "memory-killers"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{NATIVE}-{digest(SUITES, PACKAGES)}"
    with locked(cache / "lock"):
        if not root.exists():
            for stale in cache.glob(f"*{NATIVE}-*"):  # of other packages, or left behind
                shutil.rmtree(stale)
            _unpack(root)
    return root


def _unpack(place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as name:
        folder = Path(name)
        apt = Apt(folder / "apt", mirror.find(), SUITES, NATIVE)
        apt.update()
        print(f"fetch {' and '.join(PACKAGES[:2])} of {SUITES[0]}", flush=True)
        unpacked.unpack(apt, PACKAGES, folder / "root")
        (folder / "root").rename(place)
