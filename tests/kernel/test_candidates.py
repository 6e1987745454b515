# SPDX-License-Identifier: Apache-2.0
"""Candidates: the processes that the kernel considered, compared with its own list."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.kernel_log import KernelLog, Task
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

PAGE = os.sysconf("SC_PAGE_SIZE")
KEPT = 12

pytestmark = pytest.mark.needs("a look at the others")


def assert_is(candidate: dict[str, Any], task: Task, total_bytes: int, error: int) -> None:
    """One candidate is the task of the kernel's list, with the points the kernel gave it."""
    assert candidate["command"] == task.comm
    assert candidate["oom_score_adj"] == task.adj
    assert candidate["rss_bytes"] == pytest.approx(task.rss_pages * PAGE, abs=error)
    if task.adj == -1000:
        assert candidate["points"] is None
    else:
        points = task.size_pages + task.adj * (total_bytes // PAGE // 1000)
        assert candidate["points"] == pytest.approx(points, abs=error // PAGE)


def test_the_victim_was_not_the_largest(
    recorder: Recorder,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    handed_over_bytes: int,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-others")
    cgroup.limit(64)
    spared = hog(cgroup, "name spared adj -1000 anon 20 ready wait").ready()
    middle = hog(cgroup, "name middle adj 15 anon 10 ready wait").ready()
    headless = hog(cgroup, "name headless leave anon 6 ready wait").ready()
    while True:
        victim = hog(cgroup, "name victim adj 1000 anon 64")
        assert victim.was_killed()
        record = recorder.record()
        assert kernel_log.killed(victim.pid).tid == victim.pid
        if kernel_log.tasks:  # ten times in 5 seconds, whoever is killed
            break
    candidates = record["candidates"]
    assert [other["pid"] for other in candidates] == [spared.pid, middle.pid, headless.pid]
    # Both ends are counted late: one has it from the fast counters, the other may be exact.
    cpus = os.cpu_count() or 1
    error = 4 * max(32, 2 * cpus) * cpus * PAGE
    for other in candidates:
        task = kernel_log.tasks[other["pid"]]
        assert_is(other, task, record["oom"]["total_bytes"], error + handed_over_bytes)
    assert candidates[0]["rss_bytes"] >= 20 * MIB - error


def test_the_largest_of_many(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-many")
    cgroup.limit(128)
    others = [hog(cgroup, f"anon {mib} ready wait").ready() for mib in (*range(1, 15, 2), 2, 4, 6)]
    others += [hog(cgroup, f"anon {mib} ready wait").ready() for mib in (12, 10, 8)]
    victim = hog(cgroup, "anon 128")
    assert victim.was_killed()
    record = recorder.record()
    assert kernel_log.killed(victim.pid).tid == victim.pid
    found = [other["rss_bytes"] // MIB for other in record["candidates"]]
    assert found == sorted(found, reverse=True)
    assert len(found) == KEPT - 1  # the victim was the largest of those kept
    assert {other["pid"] for other in record["candidates"]} <= {other.pid for other in others}
    smallest = min(other["rss_bytes"] for other in record["candidates"])
    assert smallest > 2 * MIB
