# SPDX-License-Identifier: Apache-2.0
"""What was sent over TCP and not yet read: charged past the limit, by the one who sends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.memory_stat import VERSION, assert_adds_up, assert_stat_agrees
from ..support.kernel.processes import Hog, Recorder
from ..support.waiting import eventually

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

pytestmark = pytest.mark.needs("cgroup v2")  # v1 counts it apart, against a limit of its own

STEADY_LOOKS = 20
# While one sends, what it sent before is acknowledged and freed on another CPU: between the reading
# of the usage and that of the kinds, a segment of the loopback at most, and its buffers.
SEGMENT_BYTES = 2 * 64 * 1024
# Before v6.0 a socket keeps up to this much that it no longer uses, until a timer of its own gives
# it back (sk_mem_uncharge(), sk_mem_reclaim()).
KEPT_BYTES = 2 * MIB if VERSION < (6, 0) else 0


def wait_until_acknowledged(cgroup: Cgroup) -> None:
    """Then nothing of it comes or goes any more."""
    seen: list[str] = []

    def is_steady() -> bool:
        seen.append(cgroup.read("memory.stat").split("\nsock ")[1].split()[0])
        return len(seen) >= STEADY_LOOKS and len(set(seen[-STEADY_LOOKS:])) == 1

    eventually(is_steady)


@pytest.mark.parametrize("alone", [False, True], ids=["beside", "alone"])
def test_sockets(
    recorder: Recorder,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    alone: bool,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-sock")
    cgroup.limit(24)
    started = hog(cgroup, "tcp 200" if alone else "tcp 12 ready go anon 64")
    if not alone:
        started.ready()
        wait_until_acknowledged(cgroup)
        started.go()
    assert started.was_killed()
    record = recorder.record()
    stat = record["domain"]["stat"]
    kernel_log.killed(started.pid)
    kept = KEPT_BYTES if alone else 0
    assert_stat_agrees(stat, kernel_log, cgroup.path, sock_moved=kept)
    assert stat["sock_bytes"] >= 2 * MIB
    assert_adds_up(record, moved=SEGMENT_BYTES if alone else 0)
    exact("trigger", record["trigger"], pid=started.pid, cgroup=cgroup.path)
