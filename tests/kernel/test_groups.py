# SPDX-License-Identifier: Apache-2.0
"""Group kills in which the chosen one is gone before the group is gone through."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

MEMBERS = 40

pytestmark = pytest.mark.needs("cgroup v2")


def test_the_chosen_one_may_be_gone_before_its_turn(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """It is the last of many, and idle: it dies while the kernel kills those before it."""
    (cgroup,) = make_cgroups("/oomkill-group")
    cgroup.limit(64)
    cgroup.write("memory.oom.group", "1")
    small = [hog(cgroup, "name small ready wait").ready() for _ in range(MEMBERS)]
    asking = hog(cgroup, "name asking ready go anon 64").ready()
    chosen = hog(cgroup, "name chosen adj 1000 anon 24 ready wait").ready()
    asking.go()
    members = {process.pid: process for process in (*small, asking, chosen)}
    assert all(process.was_killed() for process in members.values())
    record = recorder.record()
    victims = [victim["pid"] for victim in record["victims"]]
    exact("victims", record["victims"][0], pid=chosen.pid, command="chosen")
    exact("trigger", record["trigger"], pid=asking.pid)
    assert len(victims) == len(set(victims))
    assert set(victims) == set(members)
    assert record["oom"]["group"] is True
    logged = [killed.tid for killed in kernel_log.killed_so_far(*members)]
    assert set(logged) == set(members)
    # The kernel counts the chosen one again only where it is still there.
    again = logged.count(chosen.pid) - 1
    assert again in (0, 1)
    assert cgroup.oom_kills() == len(members) + again


def test_of_several_cgroups(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """The group is the pod; the chosen one lies in the container that comes last."""
    pod, first, last = make_cgroups("/oomkill-pod", "/oomkill-pod/first", "/oomkill-pod/last")
    pod.limit(48)
    pod.write("memory.oom.group", "1")
    small = [hog(first, "name small ready wait").ready() for _ in range(MEMBERS // 2)]
    asking = hog(first, "name asking ready go anon 64").ready()
    chosen = hog(last, "name chosen adj 1000 anon 16 ready wait").ready()
    asking.go()
    members = {process.pid: process for process in (*small, asking, chosen)}
    assert all(process.was_killed() for process in members.values())
    record = recorder.record()
    exact("victims", record["victims"][0], pid=chosen.pid, cgroup=last.path)
    assert {victim["pid"] for victim in record["victims"]} == set(members)
    assert {victim["cgroup"] for victim in record["victims"][1:]} == {first.path}
    logged = [killed.tid for killed in kernel_log.killed_so_far(*members)]
    assert first.oom_kills() + last.oom_kills() == len(logged)


@pytest.mark.needs("the whole matrix")
def test_one_that_fills_the_ring_leaves_room_for_others(
    hook: str, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """Of the group some are lost, and said to be its own; a neighbour's kills are all there."""
    group, neighbour = make_cgroups("/oomkill-flood", "/oomkill-neighbour")
    group.limit(64)
    group.write("memory.oom.group", "1")
    neighbour.limit(16)
    members = [hog(group, "name small ready wait").ready() for _ in range(MEMBERS)]
    asking = hog(group, "name asking ready go anon 128").ready()
    with Recorder(hook, "--ring-bytes", "65536") as recorder:
        recorder.process.send_signal(signal.SIGSTOP)
        asking.go()
        assert all(process.was_killed() for process in (*members, asking))
        others = [hog(neighbour, "anon 32") for _ in range(3)]
        assert all(process.was_killed() for process in others)
        recorder.process.send_signal(signal.SIGCONT)
        first, *rest = [recorder.record() for _ in range(1 + len(others))]
        assert first["oom"]["group"] is True
        told = len(first["victims"])
        assert 1 < told < MEMBERS
        assert {each["victims"][0]["pid"] for each in rest} == {each.pid for each in others}
        assert recorder.stop() == 0
        said = recorder.errors()
    lacking = re.findall(r"of \S*flood\S* lacks (\d+) of its victims", said)
    # Without an end mark nothing tells whose the last ones were.
    assert lacking == ([] if hook == "raw_tracepoint" else [str(MEMBERS + 1 - told)])
