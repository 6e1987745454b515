# SPDX-License-Identifier: Apache-2.0
"""A victim that a debugger holds: killed once, and gone when it lets go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]


def test_it_stops_on_its_way_out(
    judged: Judged,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-traced")
    cgroup.limit(24)
    tracer = hog(cgroup, "name tracer traced name traced adj 1000 anon 64")
    record, victim = judged()
    exact("victims", victim, command="traced", ppid=tracer.pid)
    exact("trigger", record["trigger"], pid=victim["pid"])
    assert tracer.process.stdout is not None
    assert tracer.process.stdout.readline() == "stopped\n"
    state = Path(f"/proc/{victim['pid']}/stat").read_text().rsplit(")", 1)[1].split()[0]
    assert state == "t"
    # Others still get memory: the OOM reaper takes the victim's.
    other = hog(cgroup, "name other anon 12 ready").ready()
    assert other.process.wait() == 0
    tracer.go()
    assert tracer.process.wait() == 0
    assert cgroup.oom_kills() == 1
    assert kernel_log.killed_so_far(victim["pid"], other.pid, tracer.pid) == []
