# SPDX-License-Identifier: Apache-2.0
"""What the trigger was doing when memory ran out, by its stack in the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Asked = Callable[[str], dict[str, Any]]


@pytest.fixture
def asked(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> Asked:
    """What is recorded of the trigger of a hog's kill."""
    (cgroup,) = make_cgroups("/oomkill-asked")
    cgroup.limit(16)

    def kill(script: str) -> dict[str, Any]:
        started = hog(cgroup, script)
        assert started.was_killed()
        record = recorder.record()
        kernel_log.killed(record["victims"][0]["tid"])
        trigger: dict[str, Any] = record["trigger"]
        exact("trigger", trigger, pid=started.pid)
        return trigger

    return kill


def assert_on_stack(trigger: dict[str, Any], *functions: str) -> None:
    """One of them, as each kernel calls it."""
    assert not set(functions).isdisjoint(trigger["stack"]["kernel"]), trigger["stack"]


def test_memory_that_is_touched(asked: Asked) -> None:
    trigger = asked("anon 64")
    exact("trigger", trigger, by="page_fault")
    assert_on_stack(trigger, "handle_mm_fault")


def test_a_file_that_is_read(asked: Asked, uncached_file: Path) -> None:
    trigger = asked(f"locked {uncached_file} 64")
    exact("trigger", trigger, by="file_read")
    assert_on_stack(trigger, "filemap_fault")


def test_a_file_in_tmpfs(asked: Asked, tmpfs: Path) -> None:
    trigger = asked(f"write {tmpfs}/volume 64")
    exact("trigger", trigger, by="tmpfs")
    assert_on_stack(trigger, "shmem_write_begin")


def test_shared_memory(asked: Asked) -> None:
    trigger = asked("shmem 64")
    exact("trigger", trigger, by="tmpfs")
    assert_on_stack(trigger, "shmem_fault")


@pytest.mark.needs("cgroup v2")  # v1 counts what is sent apart, against a limit of its own
def test_what_is_sent(asked: Asked) -> None:
    trigger = asked("tcp 100")
    exact("trigger", trigger, by="socket")
    assert_on_stack(trigger, "tcp_sendmsg", "sock_sendmsg", "__sys_sendto")


def test_a_new_process(asked: Asked) -> None:
    """With its parent's memory, so that it touches none of its own."""
    trigger = asked("sharers 4000")
    exact("trigger", trigger, by="fork")
    assert_on_stack(trigger, "copy_process", "kernel_clone")


def test_a_pipe(asked: Asked) -> None:
    exact("trigger", asked("pipes 64"), by="kernel")


@pytest.mark.needs("names of functions")
def test_without_the_right_to_see_addresses(
    hook: str, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """CAP_SYSLOG, which no container has: the kernel names the functions itself."""
    without = ["setpriv", "--bounding-set=-syslog", "--inh-caps=-syslog"]
    with Recorder(hook, wrap=without) as recorder:
        (cgroup,) = make_cgroups("/oomkill-asked")
        cgroup.limit(16)
        assert hog(cgroup, "shmem 64").was_killed()
        trigger = recorder.record()["trigger"]
    exact("trigger", trigger, by="tmpfs")
    assert_on_stack(trigger, "shmem_fault")
