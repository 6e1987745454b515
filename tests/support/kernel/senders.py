# SPDX-License-Identifier: Apache-2.0
"""Who ends a container's processes by SIGKILL: each cause, provoked, and what is true of it.

Real senders where a guest can have them; a runtime is a program of its name, in its unit's cgroup,
that sends the signals a runtime sends. docs/exit-137.md has a table of `CAUSES`.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import memory_killers
from .actors import Container
from .cgroups import Cgroup
from .mounts import swap_on
from .processes import Hog, Recorder


@dataclass(frozen=True)
class Expected:
    """What the record has to say; None: it is not looked at."""

    cgroup: Cgroup
    target: int | None = None  # pid
    is_init: bool | None = None
    sender: int | None = None  # pid
    command: str | None = None
    words: str = ""  # in the verdict


@dataclass(frozen=True)
class World:
    """What a sender needs."""

    recorder: Recorder
    stack: ExitStack
    container: Callable[..., Container]
    acts: Callable[..., subprocess.Popen[str]]
    hog: Callable[..., Hog]
    make_cgroups: Callable[..., list[Cgroup]]
    actor_program: Path


@pytest.fixture
def world(
    recorder: Recorder,
    stack: ExitStack,
    container: Callable[..., Container],
    acts: Callable[..., subprocess.Popen[str]],
    hog: Callable[..., Hog],
    make_cgroups: Callable[..., list[Cgroup]],
    actor_program: Path,
) -> World:
    return World(recorder, stack, container, acts, hog, make_cgroups, actor_program)


def runtime_stop(world: World) -> Expected:
    started, unit = world.container(), world.make_cgroups("/oomkill-containerd.service")[0]
    world.acts(f"name runc signal {started.init} {signal.SIGTERM:d}", unit)
    by = world.acts(f"name runc signal {started.init} {signal.SIGKILL:d}", unit)
    return Expected(started.cgroup, started.init, True, by.pid, "runc", "had been sent SIGTERM")


def runtime_kill(world: World) -> Expected:
    started, unit = world.container(), world.make_cgroups("/oomkill-containerd.service")[0]
    by = world.acts(f"name runc signal {started.init} {signal.SIGKILL:d}", unit)
    return Expected(started.cgroup, started.init, True, by.pid, "runc", "without being asked")


def systemd_oomd(world: World) -> Expected:
    """It kills what uses most swap: a container that memory.high has swap out its memory."""
    started = world.container("name app ready go anon 24 wait")
    started.cgroup.write("memory.high", str(16 << 20))
    world.stack.enter_context(swap_on(32))
    started.outside.go()
    by = world.stack.enter_context(memory_killers.systemd_oomd("/docker"))
    started.exit_status()
    words = "its own rules; the kernel's OOM killer did not run"
    return Expected(started.cgroup, started.init, True, by.pid, "systemd-oomd", words)


def earlyoom(world: World) -> Expected:
    started = world.container("name app ready go anon 160 wait")
    (Path("/proc") / str(started.init) / "oom_score_adj").write_text("1000")
    by = world.stack.enter_context(memory_killers.earlyoom(spare_mib=80))
    started.outside.go()
    started.exit_status()
    words = "short of free memory; the kernel's OOM killer did not run"
    return Expected(started.cgroup, started.init, True, by.pid, "earlyoom", words)


def cgroup_kill(world: World) -> Expected:
    started = world.container("name app children 3 ready wait")
    command = ["sh", "-c", 'echo 1 > "$0"', str(started.cgroup.folder / "cgroup.kill")]
    with subprocess.Popen(command) as by:
        started.exit_status()
    return Expected(started.cgroup, started.init, True, by.pid, "sh", "wrote to cgroup.kill")


def shell(world: World) -> Expected:
    started = world.container()
    with subprocess.Popen(["sh", "-c", f"kill -9 {started.init}"]) as by:
        started.exit_status()
    return Expected(started.cgroup, started.init, True, by.pid, "sh", "by hand or a script")


def daemon(world: World) -> Expected:
    started = world.container()
    by = world.acts(f"name watchdog signal {started.init} {signal.SIGKILL:d}")
    return Expected(started.cgroup, started.init, True, by.pid, "watchdog", "watchdog")


def inside(world: World) -> Expected:
    started = world.container("name boss children 1 ready go kill wait")
    started.outside.go()
    words = "which is not its PID 1, was killed from inside the container by boss"
    return Expected(started.cgroup, None, False, started.init, "boss", words)


def by_exec(world: World) -> Expected:
    """As `docker exec` and `kubectl exec` do: into the namespace and the cgroup from outside."""
    started = world.container("name app children 1 ready wait")
    _in_namespace(world, started, started.cgroup)
    return Expected(started.cgroup, None, False, None, "debug", "which came in by exec")


def other_container(world: World) -> Expected:
    """Of a pod whose containers share a PID namespace."""
    started, other = world.container("name app children 1 ready wait"), world.container()
    _in_namespace(world, started, other.cgroup)
    words = f"of another container {other.id}"
    return Expected(started.cgroup, None, False, None, "debug", words)


def _in_namespace(world: World, target: Container, cgroup: Cgroup) -> None:
    """Kill process 2 of a container by a process of its PID namespace, in a cgroup."""
    command = ["nsenter", "--target", str(target.init), "--pid", str(world.actor_program)]
    command += ["name", "debug", "signal", "2", str(int(signal.SIGKILL))]
    subprocess.run(command, check=True, preexec_fn=cgroup.enter)


def namespace_end(world: World) -> Expected:
    started = world.container("name boss children 3 ready go exit 3")
    started.outside.go()
    assert started.exit_status() == 3
    words = "ended with exit code 3"
    return Expected(started.cgroup, None, False, started.init, "boss", words)


def parent_end(world: World) -> Expected:
    started = world.container()
    parent = started.outside.pid
    os.kill(parent, signal.SIGKILL)
    return Expected(started.cgroup, started.init, True, parent, None, "PR_SET_PDEATHSIG")


def shared_memory(world: World) -> Expected:
    cgroup = world.container().cgroup
    cgroup.limit(32)
    assert world.hog(cgroup, "sharer anon 64").was_killed()
    assert world.recorder.record()["victims"][0]["cgroup"] == cgroup.path
    return Expected(cgroup, words="as it shared the address space of its victim")


def oom_killer(world: World) -> Expected:
    cgroup = world.container().cgroup
    cgroup.limit(32)
    started = world.hog(cgroup, "anon 64")
    assert started.was_killed()
    return Expected(cgroup, started.pid, None)


@dataclass(frozen=True)
class Cause:
    """A row of the table."""

    cause: str | None  # killer.cause; None: a record of an OOM kill, and no other
    who: str  # the sender, for people
    provoke: Callable[[World], Expected]
    needs: tuple[str, ...] = ()


REAL = ("guest", "cgroup v2", "memory killers")
CAUSES = {
    each.provoke.__name__: each
    for each in (
        Cause(None, "the kernel's OOM killer", oom_killer),
        Cause("shared_memory", "the OOM killer, for a process that shares memory", shared_memory),
        Cause("runtime_stop", "a program `runc`: SIGTERM, later SIGKILL", runtime_stop),
        Cause("runtime_kill", "a program `runc`: SIGKILL", runtime_kill),
        Cause("systemd_oomd", "systemd-oomd of Debian 13, as swap ran short", systemd_oomd, REAL),
        Cause("earlyoom", "earlyoom of Debian 13, as memory ran short", earlyoom, REAL),
        Cause("cgroup_kill", "a shell: `echo 1 > cgroup.kill`", cgroup_kill, ("cgroup.kill",)),
        Cause("user", "a shell on the host: `kill -9`", shell),
        Cause("host_process", "another process of the host", daemon),
        Cause("inside", "PID 1 of the container", inside),
        Cause("inside", "a process that came in from outside, as by `docker exec`", by_exec),
        Cause("other_container", "a container of the same PID namespace", other_container),
        Cause("namespace_end", "PID 1 ended, with exit code 3", namespace_end),
        Cause("parent_end", "what had started the container ended", parent_end),
    )
}  # fmt: skip
