# SPDX-License-Identifier: Apache-2.0
"""What can fill a node beside heaps, one kind each; the kernel's log judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.huge_pages import LEFT_MIB, MIN_FREE, little_memory
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.needs import SPARE_NODE
from ..support.kernel.node_judging import assert_adds_up, share
from ..support.kernel.processes import Hog

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]
RunOut = Callable[..., dict[str, Any]]

pytestmark = [pytest.mark.needs("guest"), pytest.mark.needs("fentry")]

RESERVE = Path("/proc/sys/vm/lowmem_reserve_ratio")
PACKET_RING = 128
HELD_BACK = 96  # MiB
OTHER_IPC = ["unshare", "--ipc"]  # which the messages end with
SPARES = "adj -1000"  # the one that has it all is not what is killed


@pytest.fixture
def holder(make_cgroups: MakeCgroups) -> Cgroup:
    (cgroup,) = make_cgroups("/oomkill-holder")
    return cgroup


@pytest.fixture
def run_out(judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, stack: ExitStack) -> RunOut:
    """Have the node run out of what is left, by somebody who had little."""

    def run(left_mib: int = LEFT_MIB) -> dict[str, Any]:
        (small,) = make_cgroups("/oomkill-small")
        stack.enter_context(little_memory(left_mib))
        assert hog(small, "name unlucky adj 1000 anon 250").was_killed()
        record, _ = judged()
        assert record["scope"] == "node"
        return record

    return run


@pytest.fixture
def held_back() -> Iterator[None]:
    """A tenth of the node is for the kernel alone, and each zone for its own allocations."""
    before = MIN_FREE.read_text(), RESERVE.read_text()
    MIN_FREE.write_text(str(HELD_BACK << 10))
    RESERVE.write_text(" ".join("1" for _ in before[1].split()))
    yield
    MIN_FREE.write_text(before[0])
    RESERVE.write_text(before[1])


def test_slab(hog: StartHog, holder: Cgroup, run_out: RunOut, kernel_log: KernelLog) -> None:
    hog(holder, f"{SPARES} messages 250 ready wait", wrap=OTHER_IPC).ready()
    record = run_out()
    memory = record["node_memory"]
    assert_adds_up(memory, kernel_log)
    assert memory["slab_unreclaimable_bytes"] >= 250 * MIB
    assert share(memory, holder)["usage_bytes"] >= 250 * MIB
    assert ") was slab that cannot be reclaimed" in record["verdict"]


def test_page_tables(hog: StartHog, holder: Cgroup, run_out: RunOut, kernel_log: KernelLog) -> None:
    hog(holder, f"{SPARES} tables 256 ready wait").ready()
    record = run_out()
    memory = record["node_memory"]
    assert_adds_up(memory, kernel_log)
    assert memory["pagetables_bytes"] >= 256 * MIB
    assert share(memory, holder)["usage_bytes"] >= 256 * MIB
    assert ") was page tables" in record["verdict"]


def test_a_file_in_tmpfs(
    tmpfs: Path, hog: StartHog, holder: Cgroup, run_out: RunOut, kernel_log: KernelLog
) -> None:
    """Its writer lives, and maps none of it; it has the file open, so it goes before the tmpfs."""
    hog(holder, f"{SPARES} write {tmpfs}/file 120 ready wait").ready()
    record = run_out()
    memory = record["node_memory"]
    assert_adds_up(memory, kernel_log)
    assert memory["shmem_bytes"] >= 120 * MIB
    assert share(memory, holder)["usage_bytes"] >= 120 * MIB


def test_a_packet_ring(
    hog: StartHog, holder: Cgroup, run_out: RunOut, kernel_log: KernelLog
) -> None:
    """Charged to nobody, and in none of the kernel's counters."""
    hog(holder, f"{SPARES} ring {PACKET_RING} ready wait").ready()
    record = run_out()
    memory = record["node_memory"]
    assert_adds_up(memory, kernel_log, taken=PACKET_RING * MIB)
    assert share(memory, holder)["usage_bytes"] < PACKET_RING * MIB
    assert "is in no counter of the kernel, and charged to nobody" in record["verdict"]


def test_the_pool_of_huge_pages(run_out: RunOut, kernel_log: KernelLog) -> None:
    """What the tests take memory away with."""
    record = run_out()
    assert_adds_up(record["node_memory"], kernel_log)
    pages = Path("/proc/sys/vm/nr_hugepages").read_text()
    assert record["node_memory"]["hugetlb_bytes"] == int(pages) * 2 * MIB
    assert "was set aside for huge pages, used or not" in record["verdict"]


@pytest.mark.usefixtures("held_back")
def test_what_is_held_back(run_out: RunOut, kernel_log: KernelLog) -> None:
    """There is free memory; the watermarks and the lower zones' reserve keep it."""
    record = run_out(HELD_BACK)  # enough for all others, before and after
    memory = record["node_memory"]
    assert_adds_up(memory, kernel_log)
    assert memory["free_bytes"] >= HELD_BACK * MIB // 2
    (first,) = [node for node in memory["nodes"] if node["number"] == 0]
    lowest = first["zones"][-1]
    assert lowest["name"].startswith("DMA")
    if len(first["zones"]) > 1:  # one above it, whose allocations it is kept from
        assert lowest["allowed"] is True
        assert lowest["reserve_bytes"] >= lowest["free_bytes"] > 0
    assert "was free, but held back for the kernel and for lower zones" in record["verdict"]


@pytest.mark.needs("nodes")
@pytest.mark.parametrize("by", ["bind", "bound"])
def test_one_memory_node_by_policy(
    judged: Judged, hog: StartHog, holder: Cgroup, kernel_log: KernelLog, by: str
) -> None:
    """Of a process (set_mempolicy), or of this memory alone (mbind)."""
    number = int(SPARE_NODE.name.removeprefix("node"))
    script = {"bind": f"bind {number} anon 256", "bound": f"bound {number} 256"}[by]
    assert hog(holder, f"name bound adj 1000 {script}").was_killed()
    record, _ = judged()
    memory = record["node_memory"]
    assert record["scope"] == "mempolicy"
    assert_adds_up(memory, kernel_log)
    allowed = {node["number"]: node["allowed"] for node in memory["nodes"]}
    assert allowed == {other: other == number for other in range(len(allowed))}
    assert "was free, but on memory nodes that it may not use" in record["verdict"]
