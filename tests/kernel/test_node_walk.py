# SPDX-License-Identifier: Apache-2.0
"""What a node-wide kill would have of the node's memory, read by hand: no kill is needed.

Held against /proc/meminfo and the cgroups' own files.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from container_oomkill.incident.node_memory import NodeMemory, Share
from container_oomkill.incident.proc_memory import read_meminfo

from ..support.kernel.cgroups import MIB, Cgroup, cgroups
from ..support.kernel.memory_stat import BATCH_BYTES
from ..support.kernel.node_memory import node_reader
from ..support.kernel.processes import Hog

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Read = Callable[[], NodeMemory]

pytestmark = pytest.mark.needs("programs run by hand")

KEPT = 32
NOISE = 64 * MIB  # others run on this machine, between one look and the next


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    with node_reader() as reader:
        yield reader


def charged(memory: NodeMemory) -> int:
    """All that the record has of who is charged."""
    assert memory.cgroups is not None
    assert memory.other_cgroups_bytes is not None
    assert memory.gone_bytes is not None
    kept = sum(share.usage_bytes or 0 for share in memory.cgroups)
    return kept + memory.other_cgroups_bytes + memory.gone_bytes


def row(memory: NodeMemory, cgroup: Cgroup) -> Share | None:
    return next((each for each in memory.cgroups or () if each.cgroup_id == cgroup.id()), None)


def adds_up(memory: NodeMemory) -> None:
    """But for what CPUs charge in advance between the look at the root and the walk's end."""
    assert memory.charged_bytes
    off = abs(charged(memory) - memory.charged_bytes)
    assert off <= max(memory.charged_bytes // 100, BATCH_BYTES)


def read_counters() -> dict[str, int]:
    """Of /proc/meminfo; all and free memory of the zones: a virtual machine may tell of more."""
    counters = dict(read_meminfo())
    zones = Path("/proc/zoneinfo").read_text()
    for name, pattern in {
        "MemTotal": r"^ +managed +(\d+)",
        "MemFree": r"^ +pages free +(\d+)",
    }.items():
        pages = sum(map(int, re.findall(pattern, zones, re.MULTILINE)))
        counters[name] = pages * os.sysconf("SC_PAGE_SIZE")
    return counters


def test_the_counters_are_those_of_meminfo(read: Read) -> None:
    before, memory, after = read_counters(), read(), read_counters()
    assert memory.total_bytes == before["MemTotal"]
    same = {
        "free_bytes": "MemFree",
        "anon_bytes": "AnonPages",
        "shmem_bytes": "Shmem",
        "slab_reclaimable_bytes": "SReclaimable",
        "slab_unreclaimable_bytes": "SUnreclaim",
        "kernel_stack_bytes": "KernelStack",
    }
    for name, theirs in same.items():
        least, most = sorted((before[theirs], after[theirs]))
        assert least - NOISE <= getattr(memory, name) <= most + NOISE, name
    (node, *_) = memory.nodes or ()
    assert node.allowed
    assert sum(each.total_bytes or 0 for each in memory.nodes or ()) == memory.total_bytes
    for zone in node.zones:
        assert zone.name
        assert (zone.min_bytes or 0) <= (zone.low_bytes or 0) <= (zone.high_bytes or 0)


def test_every_charged_page_is_in_one_row(
    read: Read, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """A cgroup's own memory is without what the cgroups in it have."""
    outer, inner = make_cgroups("/oomkill-share", "/oomkill-share/inner")
    outer.limit(128)
    hog(inner, "adj 321 anon 48 ready wait").ready()
    memory = read()
    adds_up(memory)
    usages = [share.usage_bytes or 0 for share in memory.cgroups or ()]
    assert all(one >= other for one, other in pairwise(usages))
    found, above = row(memory, inner), row(memory, outer)
    assert found is not None
    assert found.cgroup == inner.path
    assert found.usage_bytes is not None
    assert 48 * MIB <= found.usage_bytes <= 56 * MIB
    assert found.limit_bytes is None
    assert found.oom_score_adj == 321
    if above is not None:
        assert (above.usage_bytes or 0) < 8 * MIB
        assert above.limit_bytes == 128 * MIB
        assert above.oom_score_adj is None  # no process is in it itself


def folders(top: str, count: int, depth: int) -> list[str]:
    """Paths of nested cgroups, so deep each, parents first."""
    made: list[str] = []
    for number in range(count // depth):
        path = f"{top}/b{number}"
        made.append(path)
        for level in range(1, depth):
            path = f"{path}/l{level}"
            made.append(path)
    return made


def make_all(paths: list[str], made: list[Cgroup]) -> None:
    for path in paths:
        made.append(Cgroup(path))
        with contextlib.suppress(OSError):  # no such file on v1
            made[-1].share_memory_controller()


def remove_all(made: list[Cgroup]) -> None:
    for cgroup in reversed(made):
        with contextlib.suppress(FileNotFoundError):
            cgroup.folder.rmdir()


@pytest.fixture
def thousand(make_cgroups: MakeCgroups) -> Iterator[list[Cgroup]]:
    """A thousand cgroups, 20 deep."""
    (top,) = make_cgroups("/oomkill-thousand")
    top.share_memory_controller()
    made: list[Cgroup] = []
    try:
        make_all(folders(top.path, 1000, 20), made)
        yield made
    finally:
        remove_all(made)


@pytest.mark.usefixtures("thousand")
def test_of_a_thousand_the_largest_are_kept(
    read: Read, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (large,) = make_cgroups("/oomkill-large")
    large.limit(64)
    hog(large, "anon 32 ready wait").ready()
    memory = read()
    adds_up(memory)
    assert memory.approximate is False
    assert len(memory.cgroups or ()) == KEPT
    assert memory.other_cgroups is not None
    assert memory.other_cgroups >= 1000 - KEPT
    assert row(memory, large) is not None


@pytest.mark.needs("no emulation")
def test_of_more_than_are_looked_at_the_rest_is_summed_up(
    read: Read, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """It says so: how many they are is unknown, what they hold is not."""
    (top,) = make_cgroups("/oomkill-many")
    top.share_memory_controller()
    (last,) = make_cgroups("/oomkill-last")  # behind all of them
    made: list[Cgroup] = []
    try:
        make_all(folders(top.path, 5000, 20), made)
        last.limit(64)
        hog(last, "anon 32 ready wait").ready()
        memory = read()
    finally:
        remove_all(made)
    adds_up(memory)
    assert memory.approximate is True
    assert memory.other_cgroups is None


def test_cgroups_that_are_made_and_removed_meanwhile(read: Read, make_cgroups: MakeCgroups) -> None:
    """Whatever is read of one that is gone, the walk ends, and what it has adds up."""
    (top,) = make_cgroups("/oomkill-churn")
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            made = [top.folder / f"c{number}" for number in range(50)]
            for folder in made:
                folder.mkdir()
            for folder in reversed(made):
                folder.rmdir()

    busy = threading.Thread(target=churn)
    busy.start()
    try:
        for _ in range(300):
            memory = read()
            adds_up(memory)
            assert memory.approximate is False
    finally:
        stop.set()
        busy.join()


def test_a_thousand_are_removed_meanwhile(
    read: Read, make_cgroups: MakeCgroups, hog: StartHog, thousand: list[Cgroup]
) -> None:
    """20 deep, from the leaves up: the table is bounded, and adds up all the while."""
    (large,) = make_cgroups("/oomkill-large")
    large.limit(64)
    hog(large, "anon 32 ready wait").ready()
    none = (read().other_cgroups or 0) - 1000
    busy = threading.Thread(target=remove_all, args=(thousand,))
    busy.start()
    seen = []
    while busy.is_alive():
        memory = read()
        adds_up(memory)
        assert memory.approximate is False
        assert len(memory.cgroups or ()) <= KEPT  # this machine alone may have fewer
        found = row(memory, large)
        assert found is not None
        assert (found.usage_bytes or 0) >= 32 * MIB
        seen.append(memory.other_cgroups or 0)
    busy.join()
    assert any(none + 50 < each < none + 950 for each in seen)  # in the middle of it


def test_what_a_removed_cgroup_left_is_told(read: Read, hog: StartHog, tmpfs: Path) -> None:
    """A file in a tmpfs, whose writer's cgroup is gone."""
    before = read().gone_bytes
    with cgroups(f"/oomkill-{os.getpid()}-writer") as (writer,):
        writer.limit(192)
        assert hog(writer, f"write {tmpfs}/left 128").process.wait(60) == 0
    memory = read()
    assert before is not None
    assert memory.gone_bytes is not None
    # What other cgroups had left may be given back meanwhile.
    assert memory.gone_bytes - before >= 96 * MIB
    adds_up(memory)
