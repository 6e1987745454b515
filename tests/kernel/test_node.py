# SPDX-License-Identifier: Apache-2.0
"""No cgroup's limit: the node's memory, one memory node's, or somebody's sysrq-f.

The recorder lives through all of them. A hog of the test's own is by far the kernel's first choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.huge_pages import SPARE
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.needs import SPARE_NODE
from ..support.kernel.processes import Hog
from ..support.kernel.sysrq import kill_by_sysrq

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

NODE = SPARE_NODE.name.removeprefix("node")
ALLOCATING = Path("/proc/sys/vm/oom_kill_allocating_task")

pytestmark = pytest.mark.needs("guest")


@pytest.fixture
def kill_who_asks() -> Iterator[None]:
    ALLOCATING.write_text("1")
    yield
    ALLOCATING.write_text("0")


def on_spare_node(cgroup: Cgroup) -> Cgroup:
    cgroup.write("cpuset.mems", NODE)
    return cgroup


def assert_no_cgroup(record: dict[str, Any], scope: str, constraint: str) -> None:
    """Nothing is said of a cgroup's limit; the raw tracepoint cannot tell the node's part."""
    assert record["domain"] is None
    if record["hook"] == "raw_tracepoint":
        assert record["scope"] == "node"
        assert record["inferred"] is True
        assert record["verdict"].startswith("apparently the node ran out of memory")
        return
    assert record["scope"] == scope
    exact("oom", record["oom"], constraint=constraint)


@pytest.mark.usefixtures("little_memory")
def test_the_nodes_memory(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, kernel_log: KernelLog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-node")
    cgroup.limit(512)
    started = hog(cgroup, "name everything adj 1000 anon 256")
    assert started.was_killed()
    record, victim = judged()
    assert_no_cgroup(record, "node", "none")
    exact("victims", victim, pid=started.pid, cgroup=cgroup.path, limit_bytes=512 * MIB)
    assert 0 < victim["usage_bytes"] < 256 * MIB
    assert "the node ran out of memory, not this cgroup" in record["verdict"]
    assert {each.comm for each in kernel_log.killed_so_far()} <= {SPARE}


@pytest.mark.needs("cgroup v2")
@pytest.mark.needs("nodes")
def test_a_cpusets_memory(judged: Judged, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    cgroup = on_spare_node(*make_cgroups("/oomkill-cpuset"))
    assert hog(cgroup, "name penned adj 1000 anon 256").was_killed()
    record, victim = judged()
    assert_no_cgroup(record, "cpuset", "cpuset")
    assert victim["cgroup"] == cgroup.path


@pytest.mark.needs("nodes")
def test_a_policys_memory(judged: Judged, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    (cgroup,) = make_cgroups("/oomkill-policy")
    assert hog(cgroup, f"name bound adj 1000 bind {NODE} anon 256").was_killed()
    record, victim = judged()
    assert_no_cgroup(record, "mempolicy", "memory_policy")
    assert victim["cgroup"] == cgroup.path


@pytest.mark.needs("cgroup v2")
@pytest.mark.needs("nodes")
@pytest.mark.usefixtures("kill_who_asks")
def test_the_one_who_asks_is_killed(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """Not the largest; on a node of its own, or anybody could be the one who asks."""
    cgroup = on_spare_node(*make_cgroups("/oomkill-allocating"))
    large = hog(cgroup, "name large adj 1000 anon 32 ready wait").ready()
    asking = hog(cgroup, "name asking anon 224")
    assert asking.was_killed()
    record, victim = judged()
    assert_no_cgroup(record, "cpuset", "cpuset")
    exact("victims", victim, pid=asking.pid)
    assert large.process.poll() is None
    if record["hook"] != "raw_tracepoint":
        exact("", record, message="Out of memory (oom_kill_allocating_task)")


def test_somebody_asked_for_it(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, handed_over_bytes: int
) -> None:
    """Sysrq-f: a kernel thread asks, and memory need not have run out."""
    (cgroup,) = make_cgroups("/oomkill-sysrq")
    cgroup.limit(64)
    started = hog(cgroup, "name picked adj 1000 anon 16 ready wait").ready()
    kill_by_sysrq()
    assert started.was_killed()
    record, victim = judged(handed_over_bytes)
    assert record["domain"] is None
    exact("victims", victim, pid=started.pid)
    assert record["trigger"]["command"].startswith("kworker/")
    assert record["scope"] == "manual"
    exact("oom", record["oom"], order=-1)
    exact("trigger", record["trigger"], by="sysrq")
    assert "moom_callback" in record["trigger"]["stack"]["kernel"]
    if record["hook"] != "raw_tracepoint":  # which knows it by the function that asked
        exact("oom", record["oom"], constraint="none")
    assert "sysrq" in record["verdict"]
