# SPDX-License-Identifier: Apache-2.0
"""SIGKILL by others than the OOM killer: who was killed, by whom, and one record for each end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from container_oomkill.sinks.kill_record import kill_from_object
from container_oomkill.sinks.kill_text import KillText

from ..support.kernel.actors import Container
from ..support.kernel.cgroups import Cgroup
from ..support.kernel.processes import DEADLINE, Hog, Recorder

StartContainer = Callable[..., Container]
Acts = Callable[..., subprocess.Popen[str]]
KILLED = 128 + signal.SIGKILL


def test_from_the_host(recorder: Recorder, container: StartContainer) -> None:
    started = container()
    os.kill(started.init, signal.SIGKILL)
    assert started.exit_status() == KILLED

    record = recorder.kill_by_another(started.cgroup.path)
    target, killer = record["target"], record["killer"]
    assert (target["pid"], target["pid_in_container"], target["is_init"]) == (
        started.init,
        1,
        True,
    )
    assert (target["command"], target["cgroup_id"]) == ("app", started.cgroup.id())
    assert (killer["pid"], killer["uid"]) == (os.getpid(), os.getuid())
    assert killer["command"] == Path("/proc/self/comm").read_text().rstrip("\n")
    assert (killer["is_above"], killer["is_inside"]) == (True, False)
    assert record["container"]["id"] == started.id
    assert killer["cause"] in ("host_process", "user")
    assert record["stop"] is None


def test_a_runtime_whose_patience_ends(
    recorder: Recorder, container: StartContainer, acts: Acts
) -> None:
    """PID 1 without a handler never hears SIGTERM: `docker stop` takes ten seconds of it."""
    started = container()
    asked = acts(f"name runc signal {started.init} {signal.SIGTERM:d}")
    ended = acts(f"name runc signal {started.init} {signal.SIGKILL:d}")
    assert started.exit_status() == KILLED

    record = recorder.kill_by_another(started.cgroup.path)
    assert record["killer"]["cause"] == "runtime_stop"
    assert (record["killer"]["pid"], record["killer"]["command"]) == (ended.pid, "runc")
    stop = record["stop"]
    assert (stop["signal"], stop["pid"], stop["command"]) == ("SIGTERM", asked.pid, "runc")
    assert 0 < stop["seconds_before"] < DEADLINE
    assert "had been sent SIGTERM" in record["verdict"]


def test_a_stop_that_was_sent_to_a_thread(
    recorder: Recorder, container: StartContainer, acts: Acts
) -> None:
    """tgkill(2): it is one for the process, whichever thread it names."""
    started = container()
    assert ctypes.CDLL(None).tgkill(started.init, started.init, int(signal.SIGTERM)) == 0
    acts(f"name runc signal {started.init} {signal.SIGKILL:d}")
    stop = recorder.kill_by_another(started.cgroup.path)["stop"]
    assert (stop["signal"], stop["pid"]) == ("SIGTERM", os.getpid())


def test_a_runtime_that_does_not_ask(
    recorder: Recorder, container: StartContainer, acts: Acts
) -> None:
    started = container()
    acts(f"name runc signal {started.init} {signal.SIGKILL:d}")
    record = recorder.kill_by_another(started.cgroup.path)
    assert record["killer"]["cause"] == "runtime_kill"
    assert record["stop"] is None


def test_from_inside(recorder: Recorder, container: StartContainer) -> None:
    started = container("name boss children 1 ready go kill wait")
    started.outside.go()
    record = recorder.kill_by_another(started.cgroup.path)
    target, killer = record["target"], record["killer"]
    assert (target["is_init"], target["pid_in_container"]) == (False, 2)
    assert (killer["pid"], killer["pid_in_container"]) == (started.init, 1)
    assert (killer["cause"], killer["is_inside"]) == ("inside", True)
    assert started.outside.process.poll() is None  # the container lives


def test_pid_1_cannot_be_killed_from_inside(recorder: Recorder, container: StartContainer) -> None:
    """`kill -9 1` succeeds and does nothing: no record says otherwise."""
    started = container(f"ready go signal 1 {signal.SIGKILL:d} children 1 kill wait")
    started.outside.go()
    record = recorder.kill_by_another(started.cgroup.path)
    assert record["target"]["pid_in_container"] == 2


def test_all_that_dies_with_pid_1_is_in_its_record(
    recorder: Recorder, container: StartContainer
) -> None:
    started, other = container("children 30 ready wait"), container()
    os.kill(started.init, signal.SIGKILL)
    assert started.exit_status() == KILLED
    os.kill(other.init, signal.SIGKILL)
    assert recorder.kill_by_another(started.cgroup.path)["target"]["is_init"]
    assert recorder.kills_by_others_until(other.cgroup.path)[started.cgroup.path] == 0


def test_pid_1_takes_the_others_along(recorder: Recorder, container: StartContainer) -> None:
    started, other = container("name boss children 3 ready go exit 3"), container()
    started.outside.go()
    assert started.exit_status() == 3
    os.kill(other.init, signal.SIGKILL)
    record = recorder.kill_by_another(started.cgroup.path)
    killer = record["killer"]
    assert (killer["cause"], killer["how"]) == ("namespace_end", "namespace_end")
    assert (killer["pid"], killer["command"], killer["exit_code"]) == (started.init, "boss", 3)
    assert record["target"]["is_init"] is False
    assert recorder.kills_by_others_until(other.cgroup.path)[started.cgroup.path] == 0


@pytest.mark.needs("cgroup.kill")
def test_cgroup_kill(recorder: Recorder, container: StartContainer) -> None:
    """Its processes get a signal each, in no order: the record is of PID 1."""
    started, other = container("name app children 5 ready wait"), container()
    started.cgroup.write("cgroup.kill", "1")
    started.outside.process.wait(DEADLINE)
    os.kill(other.init, signal.SIGKILL)
    record = recorder.kill_by_another(started.cgroup.path)
    target, killer = record["target"], record["killer"]
    assert (killer["how"], killer["cause"]) == ("cgroup_kill", "cgroup_kill")
    assert killer["pid"] == os.getpid()
    assert (target["pid"], target["is_init"]) == (started.init, True)
    assert recorder.kills_by_others_until(other.cgroup.path)[started.cgroup.path] == 0


def test_a_killed_child_whose_parent_asked_for_it(
    recorder: Recorder, container: StartContainer
) -> None:
    """PR_SET_PDEATHSIG: what runs the container ends, and PID 1 with it."""
    started = container()
    os.kill(started.outside.pid, signal.SIGKILL)
    record = recorder.kill_by_another(started.cgroup.path)
    assert record["killer"]["how"] == "parent_end"
    assert record["target"]["pid"] == started.init
    assert record["killer"]["pid"] == started.outside.pid


def test_no_oom_kill_is_among_them(
    recorder: Recorder,
    container: StartContainer,
    hog: Callable[..., Hog],
    make_cgroups: Callable[..., list[Cgroup]],
) -> None:
    (cgroup,) = make_cgroups("/oomkill-own")
    cgroup.limit(32)
    assert hog(cgroup, "anon 64").was_killed()
    assert recorder.record()["victims"][0]["cgroup"] == cgroup.path
    other = container()
    os.kill(other.init, signal.SIGKILL)
    assert recorder.kills_by_others_until(other.cgroup.path)[cgroup.path] == 0


def test_who_shares_the_memory_of_an_oom_victim(
    recorder: Recorder, hog: Callable[..., Hog], container: StartContainer
) -> None:
    """CLONE_VM: killed with the victim, by the kernel, and in nobody's log."""
    cgroup = container().cgroup  # so that it counts as a container's
    cgroup.limit(32)
    started = hog(cgroup, "sharer anon 64")
    assert started.was_killed()
    victim = recorder.record()["victims"][0]
    record = recorder.kill_by_another(cgroup.path)
    assert (record["killer"]["cause"], record["killer"]["how"]) == (
        "shared_memory",
        "shared_memory",
    )
    assert victim["pid"] != record["target"]["pid"]
    assert {victim["pid"], record["target"]["pid"]} & {started.pid}


def test_names_that_would_move_the_cursor(
    recorder: Recorder, container: StartContainer, actor_program: Path
) -> None:
    started = container()
    name = "\x1b[2J\n\r\t\x07\x9b"
    command = [str(actor_program), "name", name, "signal", str(started.init), "9"]
    subprocess.run(command, check=True)
    record = recorder.kill_by_another(started.cgroup.path)
    assert record["killer"]["command"] == name.encode()[:15].decode("utf-8", "backslashreplace")
    out = StringIO()
    KillText(out)(kill_from_object(record))
    assert all(char.isprintable() or char == "\n" for char in out.getvalue())
    assert "\\x1b[2J\\x0a" in out.getvalue()


def test_a_storm_costs_no_oom_record(
    recorder: Recorder,
    container: StartContainer,
    hog: Callable[..., Hog],
    make_cgroups: Callable[..., list[Cgroup]],
) -> None:
    """100,000 SIGKILLs; in an emulated guest a twentieth, which takes as long."""
    number = 5_000 if os.environ.get("OOMKILL_TEST_GUEST") else 100_000
    (cgroup,) = make_cgroups("/oomkill-own")
    cgroup.limit(32)
    storm = container(f"ready go storm {number} exit 0")
    storm.outside.go()
    kills, begin = 0, time.monotonic()
    while kills < 5 or storm.outside.process.poll() is None:
        assert hog(cgroup, "anon 64").was_killed()
        assert recorder.record()["victims"][0]["cgroup"] == cgroup.path
        kills += 1
    assert storm.exit_status() == 0
    last = container()
    os.kill(last.init, signal.SIGKILL)
    told = recorder.kills_by_others_until(last.cgroup.path)[storm.cgroup.path]
    # 16 in 10 s; the rest is counted, not told.
    assert 0 < told <= 16 * (2 + (time.monotonic() - begin) / 10) < number
