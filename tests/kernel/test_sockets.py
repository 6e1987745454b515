# SPDX-License-Identifier: Apache-2.0
"""What was sent over TCP and not yet read: charged past the limit, by the one who sends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.memory_stat import assert_adds_up, assert_stat_agrees
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

pytestmark = pytest.mark.needs("cgroup v2")  # v1 counts it apart, against a limit of its own


@pytest.mark.parametrize("script", ["tcp 12 anon 64", "tcp 200"], ids=["beside", "alone"])
def test_sockets(
    recorder: Recorder,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    script: str,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-sock")
    cgroup.limit(24)
    started = hog(cgroup, script)
    assert started.was_killed()
    record = recorder.record()
    stat = record["domain"]["stat"]
    kernel_log.killed(started.pid)
    if cgroup.path in kernel_log.stats:  # ten times in 5 seconds
        assert_stat_agrees(stat, kernel_log.stats[cgroup.path])
    assert stat["sock_bytes"] >= 2 * MIB
    # What is sent goes on being acknowledged, and freed, on another CPU or in a softirq.
    assert_adds_up(record, moved=MIB)
    exact("trigger", record["trigger"], pid=started.pid, cgroup=cgroup.path)
