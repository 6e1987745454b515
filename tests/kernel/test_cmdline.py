# SPDX-License-Identifier: Apache-2.0
"""`--cmdline`: the victim's own words, by the kernel program or from /proc; and none without it."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
# include/uapi/linux/ptrace.h
PTRACE_DETACH, PTRACE_SEIZE = 17, 0x4206
PTRACE_EVENT_EXIT, PTRACE_O_TRACEEXIT = 6, 0x40


@pytest.fixture(scope="module")
def asking(hook: str) -> Iterator[Recorder]:
    with Recorder(hook, "--cmdline") as recorder:
        yield recorder


@pytest.fixture
def curious(asking: Recorder) -> Recorder:
    """A recorder that asks for command lines, and says nothing of the tests before."""
    asking.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return asking


class HeldAtItsEnd:
    """A process that stops when it exits, with its memory still there: time enough to look."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._request(PTRACE_SEIZE, PTRACE_O_TRACEEXIT)

    def wait(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        assert status >> 8 == signal.SIGTRAP | PTRACE_EVENT_EXIT << 8

    def release(self) -> None:
        self._request(PTRACE_DETACH, 0)

    def _request(self, request: int, data: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        arguments = map(ctypes.c_long, (request, self.pid, 0, data))
        assert libc.ptrace(*arguments) == 0, os.strerror(ctypes.get_errno())


def test_a_victim_that_asked_itself(
    recorder: Recorder,
    curious: Recorder,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    hog_program: Path,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-cmdline")
    cgroup.limit(32)
    script = "name eater anon 64"
    assert hog(cgroup, script).was_killed()
    (victim,) = curious.record()["victims"]
    assert victim["cmdline"] == f"{hog_program} {script}"
    (victim,) = recorder.record()["victims"]
    assert victim["cmdline"] is None


def test_another_victim_than_the_one_that_asked(
    recorder: Recorder,
    curious: Recorder,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    hog_program: Path,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-cmdline")
    cgroup.limit(32)
    assert hog(cgroup, "anon 64").was_killed()
    for each in recorder, curious:
        each.record()  # so what reads command lines has been imported
    script = "name big adj 1000 lock anon 20 ready wait"  # or the OOM reaper may be faster
    big = hog(cgroup, script).ready()
    held = HeldAtItsEnd(big.pid)
    hog(cgroup, "name small anon 16 ready wait")
    held.wait()
    record = curious.record()
    held.release()
    assert big.was_killed()
    (victim,) = record["victims"]
    assert victim["pid"] == big.pid != record["trigger"]["pid"]
    assert victim["cmdline"] == f"{hog_program} {script}"
    (victim,) = recorder.record()["victims"]
    assert victim["cmdline"] is None
