# SPDX-License-Identifier: Apache-2.0
"""Memory that no process maps: pinned pages, zswap, hugetlb, and kinds of the kernel's own."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup, is_v1
from ..support.kernel.evidence import near
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.memory_stat import (
    BATCH_BYTES,
    BEHIND_BYTES,
    LACKING_BYTES,
    assert_adds_up,
    assert_stat_agrees,
)
from ..support.kernel.mounts import huge_pages_charged, swap_on
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

ZSWAP = Path("/sys/module/zswap/parameters")
SWAP_MIB = 96
LISTS = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
HUGE_MIB = 16
# On 6.1 some 1.1 MiB of 16 were on no list, by the kernel's own log too. Probably compaction, which
# takes up to a block of pages off their lists for a moment.
OFF_LISTS_BYTES = 2 * MIB + BATCH_BYTES + LACKING_BYTES


def logged_stat(
    record: dict[str, Any], kernel_log: KernelLog, cgroup: Cgroup
) -> dict[str, int] | None:
    """The kernel's own numbers of this kill, held against the record; ten times in 5 seconds."""
    kernel_log.killed(record["victims"][0]["tid"])
    assert_stat_agrees(record["domain"]["stat"], kernel_log, cgroup.path)
    return kernel_log.stats.get(cgroup.path)


def assert_pinned_as_logged(stat: dict[str, Any], logged: dict[str, int] | None) -> None:
    """What the lists hold and no kind does, where the kernel wrote it."""
    if logged is None or "anon" not in logged:  # v1 has its own kinds
        return
    told = logged["anon"] + logged["file"] + logged.get("swapcached", 0)
    pinned = sum(logged[name] for name in LISTS) - told
    near("domain.stat", stat, len(LISTS) * BEHIND_BYTES, pinned_bytes=pinned)


def test_pages_that_only_a_pin_holds(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """In pipes by vmsplice, then unmapped: in no kind of the kernel's, but on its lists."""
    (cgroup,) = make_cgroups("/oomkill-pinned")
    cgroup.limit(48)
    assert hog(cgroup, "pin 20 anon 64").was_killed()
    record = recorder.record()
    stat = record["domain"]["stat"]
    logged = logged_stat(record, kernel_log, cgroup)
    assert 20 * MIB - OFF_LISTS_BYTES <= stat["pinned_bytes"] <= 21 * MIB
    assert stat["anon_bytes"] < 30 * MIB
    assert_pinned_as_logged(stat, logged)
    if not is_v1():
        assert_adds_up(record, "pinned")


def test_beside_locked_memory(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """That is on a list of its own, which has locked files on it as well."""
    (cgroup,) = make_cgroups("/oomkill-locked")
    cgroup.limit(64)
    assert hog(cgroup, "pin 16 anon 12 shmem 6 lock anon 64").was_killed()
    record = recorder.record()
    logged = logged_stat(record, kernel_log, cgroup)
    assert record["victims"][0]["vm"]["locked_bytes"] >= 18 * MIB
    stat = record["domain"]["stat"]
    assert_pinned_as_logged(stat, logged)
    assert 16 * MIB - OFF_LISTS_BYTES <= stat["pinned_bytes"] <= 17 * MIB, stat


@pytest.mark.parametrize("more", ["", "lock"])
def test_nothing_is_pinned(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog, tmpfs: Path, more: str
) -> None:
    (cgroup,) = make_cgroups("/oomkill-unpinned")
    cgroup.limit(48)
    assert hog(cgroup, f"shmem 6 write {tmpfs}/file 6 anon 8 {more} anon 64").was_killed()
    assert recorder.record()["domain"]["stat"]["pinned_bytes"] <= BATCH_BYTES + LACKING_BYTES


@pytest.mark.needs("guest")
@pytest.mark.needs("cgroup v2")
def test_what_swap_caches_is_not_pinned(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog, swap: int
) -> None:
    (cgroup,) = make_cgroups("/oomkill-swapcache")
    cgroup.limit(16)
    cgroup.write("memory.swap.max", "max")
    assert hog(cgroup, "anon 64").was_killed()
    record = recorder.record()
    # What the swap cache has as well counts as resident, and is more on a slow machine.
    assert swap // 2 <= record["victims"][0]["swap_bytes"] <= swap
    stat = record["domain"]["stat"]
    if "swapcached" not in cgroup.read("memory.stat"):
        assert stat["pinned_bytes"] is None
    else:
        assert stat["pinned_bytes"] <= BATCH_BYTES + LACKING_BYTES


@pytest.fixture
def zswap() -> Iterator[None]:
    """Swap that compresses first; a disk behind it, for it needs one."""
    with swap_on(SWAP_MIB):
        (ZSWAP / "enabled").write_text("1")
        try:
            yield
        finally:
            (ZSWAP / "enabled").write_text("0")


@pytest.mark.needs("guest")
@pytest.mark.needs("cgroup v2")
@pytest.mark.needs("zswap in memory.stat")
@pytest.mark.usefixtures("zswap")
def test_zswap(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """What is swapped out lies compressed in the same cgroup, and fills it."""
    (cgroup,) = make_cgroups("/oomkill-zswap")
    cgroup.limit(24)
    cgroup.write("memory.swap.max", "max")
    assert hog(cgroup, "noise 128").was_killed()
    record = recorder.record()
    logged_stat(record, kernel_log, cgroup)
    stat = record["domain"]["stat"]
    assert stat["zswap_bytes"] >= 6 * MIB
    assert stat["zswapped_bytes"] > 1.5 * stat["zswap_bytes"]
    assert stat["kernel_bytes"] >= stat["zswap_bytes"]
    assert record["victims"][0]["swap_bytes"] >= stat["zswapped_bytes"] - BATCH_BYTES


@pytest.fixture
def huge_pages_are_charged() -> Iterator[None]:
    with huge_pages_charged(HUGE_MIB + 8):
        yield


@pytest.mark.needs("guest")
@pytest.mark.needs("hugetlb accounting")
@pytest.mark.usefixtures("huge_pages_are_charged")
def test_huge_pages(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-huge")
    cgroup.limit(40)
    assert hog(cgroup, f"huge {HUGE_MIB} anon 64").was_killed()
    record = recorder.record()
    logged_stat(record, kernel_log, cgroup)
    stat = record["domain"]["stat"]
    assert stat["anon_bytes"] < (40 - HUGE_MIB) * MIB
    # 6.7 to 6.12 charge them, and count them as no kind.
    if kernel_counts_hugetlb():
        assert stat["hugetlb_bytes"] == HUGE_MIB * MIB
        assert_adds_up(record, "hugetlb")
    else:
        assert stat["hugetlb_bytes"] is None


def kernel_counts_hugetlb() -> bool:
    version = tuple(int(part) for part in platform.release().split(".")[:2])
    return version >= (6, 13)


@pytest.mark.needs("CAP_SYS_RESOURCE")
def test_the_kernels_vmalloc(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """A table of a million open files: 8 MiB, too large for anything but vmalloc."""
    (cgroup,) = make_cgroups("/oomkill-vmalloc")
    cgroup.limit(32)
    started = hog(cgroup, "files 1048576 ready go anon 64").ready()
    in_file = dict(line.split() for line in cgroup.read("memory.stat").splitlines())
    started.go()
    assert started.was_killed()
    record = recorder.record()
    logged_stat(record, kernel_log, cgroup)
    stat = record["domain"]["stat"]
    if stat["vmalloc_bytes"] is None:
        assert "vmalloc" not in in_file
        pytest.skip("this kernel does not count vmalloc's memory by cgroup")
    assert 8 * MIB <= stat["vmalloc_bytes"] < 10 * MIB
    assert stat["kernel_bytes"] >= stat["vmalloc_bytes"]
    assert_adds_up(record)


def test_slab_that_could_be_reclaimed_and_slab_that_could_not(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog, tmpfs: Path
) -> None:
    """Empty files in a tmpfs: a name is of the one kind, an inode of the other."""
    (cgroup,) = make_cgroups("/oomkill-slab")
    cgroup.limit(32)
    assert hog(cgroup, f"entries {tmpfs} 12000 anon 64").was_killed()
    record = recorder.record()
    logged_stat(record, kernel_log, cgroup)
    stat = record["domain"]["stat"]
    assert stat["slab_reclaimable_bytes"] >= 12000 * 128 - LACKING_BYTES
    assert stat["slab_unreclaimable_bytes"] >= 12000 * 512 - LACKING_BYTES
    assert_adds_up(record)
