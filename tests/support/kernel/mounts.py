# SPDX-License-Identifier: Apache-2.0
"""Takes a folder or a size, gives a file system or a disk of the test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")
CGROUP2_OPTIONS = ("nsdelegate", "memory_recursiveprot")


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def mounted(folder: Path, *arguments: str | Path) -> Iterator[Path]:
    """A file system of the test's own."""
    folder.mkdir()
    run("mount", *arguments, folder)
    try:
        yield folder
    finally:
        run("umount", folder)


@contextmanager
def ram_disk(mib: int) -> Iterator[Path]:
    """A block device in compressed RAM (zram)."""
    run("modprobe", "zram")
    settings, device = Path("/sys/block/zram0"), Path("/dev/zram0")
    (settings / "disksize").write_text(f"{mib}M")
    try:
        yield device
    finally:
        (settings / "reset").write_text("1")


@contextmanager
def swap_on(mib: int) -> Iterator[int]:
    """The only swap, in a guest; its size in bytes."""
    with ram_disk(mib) as device:
        run("mkswap", device)
        run("swapon", device)
        try:
            yield mib << 20
        finally:
            run("swapoff", device)


@contextmanager
def huge_pages_charged(mib: int) -> Iterator[None]:
    """A pool of huge pages of 2 MiB, which cgroups are charged for: since 6.7, a mount option."""
    before = Path("/proc/self/mounts").read_text().splitlines()
    (mount,) = [line.split() for line in before if line.split()[2] == "cgroup2"]
    kept = [each for each in mount[3].split(",") if each in CGROUP2_OPTIONS]
    run("mount", "-o", ",".join(["remount", *kept, "memory_hugetlb_accounting"]), mount[1])
    HUGE_PAGES.write_text(str(mib // 2))
    try:
        yield
    finally:
        HUGE_PAGES.write_text("0")
        run("mount", "-o", ",".join(["remount", *kept]), mount[1])
