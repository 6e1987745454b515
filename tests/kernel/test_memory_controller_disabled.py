# SPDX-License-Identifier: Apache-2.0
"""cgroup_disable=memory: no cgroup is charged, and a kill has a container all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.needs import SPARE_NODE
from ..support.kernel.processes import Hog, Recorder
from ..support.kernel.sysrq import kill_by_sysrq

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

NODE = SPARE_NODE.name.removeprefix("node")

pytestmark = [pytest.mark.needs("cgroup_disable=memory"), pytest.mark.needs("guest")]


def assert_named(record: dict[str, Any], victim: dict[str, Any], cgroup: Cgroup) -> None:
    """All that there is to know of a cgroup without memory is which one it is."""
    exact("victims", victim, cgroup=cgroup.path, cgroup_id=cgroup.id())
    assert record["domain"] is None
    for field in ("usage_bytes", "limit_bytes", "stat"):
        assert victim[field] is None


@pytest.mark.usefixtures("little_memory")
def test_the_nodes_memory(judged: Judged, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    (cgroup,) = make_cgroups("/oomkill-uncharged")
    started = hog(cgroup, "name everything adj 1000 anon 256")
    assert started.was_killed()
    record, victim = judged(charged_to="/")
    exact("victims", victim, pid=started.pid)
    assert_named(record, victim, cgroup)
    assert record["trigger"]["cgroup"] is not None
    assert record["scope"] == "node"
    if record["hook"] != "raw_tracepoint":
        exact("oom", record["oom"], constraint="none")


@pytest.mark.needs("nodes")
def test_kills_one_after_the_other(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """None is taken for a mere mark: there is no cgroup's count that could have grown."""
    one, other = make_cgroups("/oomkill-uncharged-one", "/oomkill-uncharged-other")
    for cgroup in (one, other, one):
        started = hog(cgroup, f"name bound adj 1000 bind {NODE} anon 256")
        assert started.was_killed()
        record = recorder.record()
        (victim,) = record["victims"]
        assert kernel_log.killed(started.pid).tid == victim["tid"]
        assert_named(record, victim, cgroup)
        exact("trigger", record["trigger"], pid=started.pid, cgroup=cgroup.path)


def test_sysrq(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, handed_over_bytes: int
) -> None:
    (cgroup,) = make_cgroups("/oomkill-uncharged-sysrq")
    started = hog(cgroup, "name picked adj 1000 anon 16 ready wait").ready()
    kill_by_sysrq()
    assert started.was_killed()
    record, victim = judged(handed_over_bytes, charged_to="/")
    assert_named(record, victim, cgroup)
    assert record["oom"]["order"] == -1
    assert record["scope"] == "manual"


def test_the_kernel_says_so() -> None:
    lines = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()]
    assert [line[3] for line in lines if line[0] == "memory"] == ["0"]
