# SPDX-License-Identifier: Apache-2.0
"""A limit below what is used already: whoever writes it asks, from outside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

# On v1 such a write is refused: EBUSY.
pytestmark = pytest.mark.needs("cgroup v2")


def own_cgroup() -> str:
    return Path("/proc/self/cgroup").read_text().rsplit("0::", 1)[1].strip()


def assert_asked_from_outside(record: dict[str, Any], cgroup: Cgroup, limit_mib: int) -> None:
    domain, trigger = record["domain"], record["trigger"]
    exact("domain", domain, cgroup=cgroup.path, cgroup_id=cgroup.id())
    exact("domain", domain, limit_bytes=limit_mib * MIB)
    assert domain["usage_bytes"] > domain["limit_bytes"]
    exact("trigger", trigger, pid=os.getpid(), cgroup=own_cgroup())
    exact("trigger", trigger, command=Path("/proc/self/comm").read_text().rstrip("\n"))
    assert trigger["cgroup"] != domain["cgroup"]
    exact("trigger", trigger, by="limit_write")


@pytest.mark.parametrize("limit", [23, 8], ids=["by a little", "by much"])
def test_lowered(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, handed_over_bytes: int, limit: int
) -> None:
    (cgroup,) = make_cgroups("/oomkill-resized")
    cgroup.limit(32)
    started = hog(cgroup, "anon 24 ready wait").ready()
    cgroup.limit(limit)
    assert started.was_killed()
    record, victim = judged(handed_over_bytes)
    exact("victims", victim, pid=started.pid, cgroup=cgroup.path)
    assert_asked_from_outside(record, cgroup, limit)
    exact("victims", victim, limit_bytes=limit * MIB)
    assert record["domain"]["peak_bytes"] >= 24 * MIB


def test_one_write_kills_one_after_the_other(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    pod, *containers = make_cgroups(
        "/oomkill-resized", *(f"/oomkill-resized/c{n}" for n in range(3))
    )
    pod.limit(64)
    # At a limit of 6 MiB a step of 100 is 100 pages: no more than what maps them differs by.
    started = [
        hog(cgroup, f"adj {1000 - 100 * n} anon {16 - 4 * n} ready wait").ready()
        for n, cgroup in enumerate(containers)
    ]
    pod.limit(6)
    assert all(process.was_killed() for process in started)
    records = [recorder.record() for _ in started]
    assert [record["victims"][0]["pid"] for record in records] == [each.pid for each in started]
    for record in records:
        assert_asked_from_outside(record, pod, 6)
    usages = [record["domain"]["usage_bytes"] for record in records]
    assert usages == sorted(usages, reverse=True)
    assert pod.limit_bytes() == 6 * MIB
