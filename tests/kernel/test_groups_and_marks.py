# SPDX-License-Identifier: Apache-2.0
"""Incidents with several victims, and marks that were no kills."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from container_oomkill.incident.assembler import Assembler
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.host import read_host
from container_oomkill.probe import object_file
from container_oomkill.probe.attach import attach
from container_oomkill.probe.kernel_counts import read_kernel_kills

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.judging import assert_numbered_on
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder
from ..support.waiting import eventually

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]


@pytest.mark.needs("cgroup v2")
def test_group_of_four(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog, hook: str
) -> None:
    (cgroup,) = make_cgroups("/oomkill-group")
    cgroup.limit(48)
    cgroup.write("memory.oom.group", "1")
    small = [hog(cgroup, f"name small{n} anon {n} ready wait").ready() for n in (1, 2, 3)]
    spared = hog(cgroup, "name spared adj -1000 anon 1 ready wait").ready()
    big = hog(cgroup, "name big anon 64")
    members = {process.pid: process for process in (*small, big)}
    assert all(process.was_killed() for process in members.values())

    record = recorder.record()
    assert record["oom"]["group"] is True
    victims = record["victims"]
    assert victims[0]["pid"] == big.pid
    assert [victim["points"] is None for victim in victims[1:]] == [True] * 3
    assert len(victims) == 4
    assert {victim["pid"] for victim in victims} == set(members)
    # The kernel logs, and counts, the chosen process twice.
    logged = [killed.tid for killed in kernel_log.killed_so_far(*members, spared.pid)]
    assert set(logged) == set(members)
    assert cgroup.oom_kills() == 5
    assert spared.process.poll() is None
    assert record["domain"]["limit_bytes"] == 48 * MIB
    assert (victims[0]["points"] is None) == (hook == "raw_tracepoint")


@pytest.mark.needs("cgroup v2")
def test_two_groups_are_two_incidents(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-groups")
    cgroup.limit(32)
    cgroup.write("memory.oom.group", "1")
    records = []
    for _ in range(2):
        small = hog(cgroup, "anon 1 ready wait").ready()
        big = hog(cgroup, "anon 64")
        assert big.was_killed()
        assert small.was_killed()
        records.append(recorder.record())
        assert {victim["pid"] for victim in records[-1]["victims"]} == {small.pid, big.pid}
    assert_numbered_on(recorder, records)


def test_a_kill_the_kernel_had_counted_when_the_loader_looked(
    hook: str, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """Between the kernel's count and its mark; what counts kills knows one from a mark by that."""
    (cgroup,) = make_cgroups("/oomkill-counted")
    cgroup.limit(16)
    with attach(object_file.read_object(), hook=hook) as probe:
        host = read_host(None)
        told = Assembler(Decoder(host), time.monotonic, read_kernel_kills, probe.kills_before)
        probe.enter_earlier_counts([(cgroup.path, cgroup.id(), 1, 1)])
        killed = []
        for _ in range(2):
            killed.append(hog(cgroup, "anon 32"))
            assert killed[-1].was_killed()
        incidents = [
            incident
            for data, position in probe.ring.read()
            for incident, _ in told.take(data, position)
            if incident.victims[0].cgroup == cgroup.path
        ]
    assert [incident.victims[0].pid for incident in incidents] == [each.pid for each in killed]


@pytest.fixture
def no_time_for_others() -> Iterator[None]:
    """Let a real-time process have its CPU for itself, whole."""
    settings = {Path("/proc/sys/kernel/sched_rt_runtime_us"): "-1"}
    for server in Path("/sys/kernel/debug/sched/fair_server").glob("cpu*/runtime"):
        settings[server] = "0"
    before = {path: path.read_text() for path in settings}
    for path, value in settings.items():
        path.write_text(value)
    yield
    for path, value in before.items():
        eventually(partial(_written, path, value))


@pytest.mark.needs("guest")
@pytest.mark.needs("a count of looks")
@pytest.mark.usefixtures("no_time_for_others")
def test_already_exiting_is_no_kill(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """A process that was sent SIGKILL, but has no CPU to die on, is marked and not killed."""
    dying_in, spinning_in, next_in = make_cgroups(
        "/oomkill-dying", "/oomkill-spinning", "/oomkill-next"
    )
    for cgroup in (dying_in, spinning_in, next_in):
        cgroup.limit(32)
    dying = hog(dying_in, "name dying cpu 1 anon 24 ready wait").ready()
    # Adj -1000: only the dying one can be chosen. It waits until that has gone.
    asking = hog(dying_in, "name asking cpu 0 adj -1000 ready go anon 16 ready wait").ready()
    spinner = hog(spinning_in, "cpu 1 ready spin").ready()
    eventually(lambda: _is_spinning(spinner))
    os.kill(dying.pid, signal.SIGKILL)
    asking.go()
    eventually(lambda: _ooms(dying_in) > 0)
    assert dying.process.poll() is None, "it found time to die before the kernel looked"
    spinner.process.kill()
    assert dying.was_killed()
    asking.ready()
    assert dying_in.oom_kills() == 0
    assert kernel_log.killed_so_far() == []

    # So the first record is of the next kill.
    after = hog(next_in, "name after anon 64")
    assert after.was_killed()
    record = recorder.record()
    assert record["victims"][0]["pid"] == after.pid
    assert kernel_log.killed(after.pid).tid == after.pid


def _written(path: Path, value: str) -> bool:
    """Busy while the last real-time process is still leaving."""
    try:
        path.write_text(value)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def _is_spinning(process: Hog) -> bool:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return fields[0] == "R" and int(fields[37]) == 50  # state, rt_priority


def _ooms(cgroup: Cgroup) -> int:
    """How often the kernel has looked for a victim in this cgroup."""
    events = dict(line.split() for line in cgroup.read("memory.events.local").splitlines())
    return int(events["oom"])
