# SPDX-License-Identifier: Apache-2.0
"""Who dies: trees, sharers and strange names, each held against the kernel's log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.judging import assert_numbered_on
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

KILLS = 300
COMMANDS = {
    "quotes": b"a \"b' \\c",
    "control": b"\x1b[31m\n\t\x01",
    "not utf-8": b"\xff\xfe\xc3(",
    "utf-8": "größe→".encode(),
}


def test_the_leaf_of_a_fork_tree(judged: Judged, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    (cgroup,) = make_cgroups("/oomkill-tree")
    cgroup.limit(16)
    root = hog(cgroup, "name root fork name middle anon 2 fork name leaf anon 64")
    _, victim = judged()
    assert victim["command"] == "leaf"
    exact("victims", victim, parent_command="middle")
    assert victim["ppid"] not in (root.pid, victim["pid"])
    assert root.process.wait() == 0, "its ancestors lived on"
    assert cgroup.oom_kills() == 1


def test_the_largest_child_of_a_small_parent(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, handed_over_bytes: int
) -> None:
    (cgroup,) = make_cgroups("/oomkill-child")
    cgroup.limit(24)
    parent = hog(cgroup, "name parent child 2 child 16 ready go anon 8 ready wait")
    for _ in range(3):
        parent.ready()
    parent.go()
    record, victim = judged(handed_over_bytes)
    exact("victims", victim, ppid=parent.pid, parent_command="parent")
    assert victim["rss"]["anon_bytes"] > 15 * MIB
    exact("trigger", record["trigger"], pid=parent.pid)
    assert victim["pid"] != parent.pid


@pytest.mark.needs("CAP_SYS_RESOURCE")
def test_the_one_who_asked_may_not_be_killed(
    judged: Judged,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    handed_over_bytes: int,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-spared")
    cgroup.limit(24)
    idle = hog(cgroup, "name idle anon 16 ready wait").ready()
    spared = hog(cgroup, "name spared adj -1000 anon 16 ready wait")
    assert idle.was_killed()
    record, victim = judged(handed_over_bytes)
    exact("victims", victim, pid=idle.pid)
    exact("trigger", record["trigger"], pid=spared.pid, command="spared")
    spared.ready()
    assert spared.process.poll() is None
    assert kernel_log.killed_so_far(idle.pid, spared.pid) == []
    assert cgroup.oom_kills() == 1


def test_a_sharer_of_its_memory_dies_unlogged(
    judged: Judged, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """CLONE_VM without CLONE_THREAD: another process with the victim's memory."""
    (cgroup,) = make_cgroups("/oomkill-sharer")
    cgroup.limit(16)
    started = hog(cgroup, "name owner sharer ready go anon 64").ready()
    pids = set(map(int, cgroup.read("cgroup.procs").split()))
    assert len(pids) == 2
    started.go()
    assert started.was_killed()
    _, victim = judged()
    assert victim["pid"] in pids
    assert kernel_log.killed_so_far(*pids) == []
    assert cgroup.oom_kills() == 1
    while cgroup.read("cgroup.procs"):  # the sharer's end has no waiter but the guest's init
        pass


@pytest.mark.parametrize("kind", COMMANDS)
def test_any_bytes_in_a_command(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, kind: str
) -> None:
    (cgroup,) = make_cgroups("/oomkill-comm")
    cgroup.limit(16)
    assert hog(cgroup, ["name", COMMANDS[kind], "anon", "64"]).was_killed()
    record, victim = judged()
    name = COMMANDS[kind].decode("utf-8", "backslashreplace")
    assert victim["command"] == record["trigger"]["command"] == name


def test_a_storm(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """As fast as they come, from two sides: all are seen, in order, without a gap."""
    sides = make_cgroups("/oomkill-storm-a", "/oomkill-storm-b")
    for cgroup in sides:
        # What the kernel itself keeps of the dead for a while counts as well, 1.3 MiB of it at this
        # speed, more on a slow machine. In a smaller cgroup that leaves fork() nothing, with the
        # parent alone to be killed.
        cgroup.limit(8)
    started = [hog(cgroup, f"times {KILLS // 2} adj 1000 anon 12") for cgroup in sides]
    records, killed = [], []
    for _ in range(KILLS):  # the log is short: read as it comes
        records.append(recorder.record())
        killed.append(kernel_log.killed(records[-1]["victims"][0]["tid"]).tid)
    assert [process.process.wait() for process in started] == [0, 0]
    assert [record["victims"][0]["tid"] for record in records] == killed
    assert [cgroup.oom_kills() for cgroup in sides] == [KILLS // 2, KILLS // 2]
    assert_numbered_on(recorder, records)
    assert [record["boot_ns"] for record in records] == sorted(r["boot_ns"] for r in records)
    assert {record["domain"]["cgroup"] for record in records} == {side.path for side in sides}
