# SPDX-License-Identifier: Apache-2.0
"""Whose the node's memory was, at kills that no cgroup's limit caused; the kernel's log judges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup, cgroups
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.needs import SPARE_NODE
from ..support.kernel.node_judging import assert_adds_up, share
from ..support.kernel.processes import Hog

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]
Lessen = Callable[[str], Any]

pytestmark = pytest.mark.needs("guest")

POD = "/kubepods/burstable/podf3c2e1d0-aaaa-4bbb-8ccc-0123456789ab"
ONE, OTHER = f"{POD}/{'1' * 64}", f"{POD}/{'2' * 64}"


@pytest.fixture
def lessen(request: pytest.FixtureRequest) -> Lessen:
    """Take away the memory that is left, once what is to hold some does."""
    return request.getfixturevalue


def test_who_holds_most(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, lessen: Lessen, kernel_log: KernelLog
) -> None:
    """Two containers of a pod, something of the host's, and the victim that had little."""
    *_, one, other = make_cgroups("/kubepods", "/kubepods/burstable", POD, ONE, OTHER)
    host, small = make_cgroups("/oomkill-host", "/oomkill-small")
    hog(one, "anon 160 ready wait").ready()
    hog(other, "anon 48 ready wait").ready()
    hog(host, "anon 96 ready wait").ready()
    lessen("little_memory")
    assert hog(small, "name unlucky adj 1000 anon 250").was_killed()
    record, victim = judged()
    memory = record["node_memory"]
    assert record["scope"] == "node"
    assert memory["source"] == "kernel"
    assert_adds_up(memory, kernel_log)
    largest = memory["cgroups"][0]
    assert largest["cgroup"] == one.path
    assert largest["container"]["id"] == "1" * 64
    for cgroup, mib in ((one, 160), (host, 96), (other, 48)):
        assert mib * MIB <= share(memory, cgroup)["usage_bytes"] <= (mib + 8) * MIB
    if record["trigger"]["pid"] == victim["pid"]:  # else it goes on between the two readings
        assert share(memory, small)["usage_bytes"] == victim["usage_bytes"]
    assert memory["host_bytes"] >= 96 * MIB
    assert memory["hugetlb_bytes"] > 0  # what the test took away
    assert all(node["allowed"] for node in memory["nodes"])


def test_what_a_removed_cgroup_left(
    judged: Judged,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    lessen: Lessen,
    kernel_log: KernelLog,
    tmpfs: Path,
) -> None:
    with cgroups("/oomkill-writer") as (writer,):
        assert hog(writer, f"write {tmpfs}/left 96").process.wait(60) == 0
    (small,) = make_cgroups("/oomkill-small")
    lessen("little_memory")
    assert hog(small, "name unlucky adj 1000 anon 250").was_killed()
    record, _ = judged()
    memory = record["node_memory"]
    assert_adds_up(memory, kernel_log)
    assert memory["gone_bytes"] >= 90 * MIB
    assert memory["shmem_bytes"] >= 96 * MIB


@pytest.mark.needs("cgroup v2")
@pytest.mark.needs("nodes")
def test_one_memory_node_alone(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, kernel_log: KernelLog
) -> None:
    """There is free memory, and none where it may be taken from."""
    (cgroup,) = make_cgroups("/oomkill-penned")
    number = int(SPARE_NODE.name.removeprefix("node"))
    cgroup.write("cpuset.mems", str(number))
    assert hog(cgroup, "name penned adj 1000 anon 256").was_killed()
    record, _ = judged()
    memory = record["node_memory"]
    assert_adds_up(memory, kernel_log)
    allowed = {node["number"]: node["allowed"] for node in memory["nodes"]}
    assert allowed == {other: other == number for other in range(len(allowed))}
    spent = next(node for node in memory["nodes"] if node["number"] == number)
    for zone in spent["zones"]:
        assert zone["free_bytes"] <= 2 * zone["high_bytes"] + zone["reserve_bytes"]
    assert memory["free_bytes"] - spent["free_bytes"] > 128 * MIB
    assert spent["anon_bytes"] > spent["total_bytes"] // 2
