# SPDX-License-Identifier: Apache-2.0
"""What the memory was: tmpfs, page cache, the kernel's own, and swap that is full."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact, near
from ..support.kernel.judging import CHARGED_AHEAD
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]
PAGE = os.sysconf("SC_PAGE_SIZE")


def test_a_tmpfs_is_in_nobodys_rss(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, tmpfs: Path
) -> None:
    """The pod's memory-backed volume: charged to the cgroup, mapped by no process."""
    (cgroup,) = make_cgroups("/oomkill-tmpfs")
    cgroup.limit(24)
    assert hog(cgroup, f"name writer write {tmpfs}/volume 64").was_killed()
    record, victim = judged()
    rss = victim["rss"]
    assert rss["anon_bytes"] + rss["file_bytes"] + rss["shmem_bytes"] < 8 * MIB
    # What a CPU charged ahead it may have given back by the time the victim is marked.
    assert 0 <= 24 * MIB - record["domain"]["usage_bytes"] <= CHARGED_AHEAD
    assert record["scope"] == "container"
    assert "tmpfs" in record["verdict"]


@pytest.mark.needs("guest")
def test_page_cache_gives_way_first(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, disk: Path
) -> None:
    (cgroup,) = make_cgroups("/oomkill-cache")
    cgroup.limit(24)
    assert hog(cgroup, f"name cached write {disk} 20 anon 64").was_killed()
    record, victim = judged()
    assert victim["rss"]["anon_bytes"] > 16 * MIB
    assert record["domain"]["usage_bytes"] > 23 * MIB


def test_the_kernels_own_memory(judged: Judged, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    (cgroup,) = make_cgroups("/oomkill-pipes")
    cgroup.limit(16)
    assert hog(cgroup, "name plumber pipes 24").was_killed()
    record, victim = judged()
    rss = victim["rss"]
    assert rss["anon_bytes"] + rss["file_bytes"] + rss["shmem_bytes"] < 4 * MIB
    assert record["domain"]["usage_bytes"] > 15 * MIB
    assert "kernel" in record["verdict"]


@pytest.mark.needs("guest")
@pytest.mark.needs("cgroup v2")
def test_swap_is_full(
    judged: Judged, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog, swap: int
) -> None:
    (cgroup,) = make_cgroups("/oomkill-swap")
    cgroup.limit(16)
    if (cgroup.folder / "memory.swap.max").exists():  # swap is accounted for
        cgroup.write("memory.swap.max", "max")
    assert hog(cgroup, "name swapper anon 64").was_killed()
    record, victim = judged()
    # What the swap cache has as well counts as resident, and is more on a slow machine.
    assert swap // 2 <= victim["swap_bytes"] <= swap
    if victim["pid"] in kernel_log.tasks:  # printed ten times in 5 seconds
        swap_pages = kernel_log.tasks[victim["pid"]].swap_pages
        near("victims", victim, MIB, swap_bytes=swap_pages * PAGE)
    assert victim["rss"]["anon_bytes"] > 12 * MIB
    assert record["domain"]["limit_bytes"] == 16 * MIB


@pytest.mark.needs("guest")
@pytest.mark.needs("memory and swap")
def test_memory_and_swap_together(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, swap: int
) -> None:
    """cgroup v1's second limit is reached with much of it in swap: memory itself has room."""
    (cgroup,) = make_cgroups("/oomkill-memsw")
    cgroup.limit(24)
    hog(cgroup, "name idle anon 20 ready wait").ready()
    cgroup.limit(10)  # what is more goes to swap
    cgroup.limit(24)
    cgroup.write("memory.memsw.limit_in_bytes", str(24 * MIB))
    assert hog(cgroup, "name grower adj 1000 anon 16").was_killed()
    record, victim = judged()
    assert victim["command"] == "grower"
    exact("domain", record["domain"], cgroup=cgroup.path, limit_bytes=24 * MIB)
    assert record["scope"] == "container"
    assert record["domain"]["usage_bytes"] < 24 * MIB - swap // 4
