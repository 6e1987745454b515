# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the kernel tests, and what this kernel is taken to give."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from container_oomkill import object_file
from container_oomkill.libbpf.btf import struct_layout
from container_oomkill.probe import attach

from .cgroups import Cgroup, cgroups, is_v1
from .kernel_log import KernelLog
from .processes import Hog, Recorder

KERNEL_TYPES = Path("/sys/kernel/btf/vmlinux")
SOURCE = Path(__file__).with_name("hog.c")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hook", help="the rung to test (default: the best that attaches here)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this kernel cannot show, and say so: see `lacking`."""
    left_out = []
    for item in items:
        for marker in item.iter_markers("needs"):
            if reason := lacking(marker.args[0], config):
                left_out.append(item)
                reporter = config.pluginmanager.get_plugin("terminalreporter")
                assert reporter is not None
                reporter.write_line(f"left out: {item.name}: {reason}")
                break
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(what): what a kernel test asks of the machine")


def lacking(what: str, config: pytest.Config) -> str | None:
    """Return why this machine or rung does not have it; None if it does."""
    reasons = {
        "cgroup v2": "the memory controller is on cgroup v1" if is_v1() else None,
        "no emulation": (
            "shown without a guest already; in an emulated one it takes minutes"
            if os.environ.get("CONTAINER_OOMKILL_GUEST")
            else None
        ),
        "guest": (
            None
            if os.environ.get("CONTAINER_OOMKILL_GUEST")
            else "changes settings of the whole kernel, so it runs in a guest only"
        ),
        "a look at the others": (
            "the raw_tracepoint rung does not see whom the kernel looks at"
            if chosen_hook(config) == "raw_tracepoint"
            else None
        ),
        "the task": (
            "this kernel's tracepoint gives the raw_tracepoint rung a pid, not the task"
            if gives_pid_only(config)
            else None
        ),
    }
    return reasons[what]


def gives_pid_only(config: pytest.Config) -> bool:
    """Rung 3 on a kernel whose mark_victim tracepoint has the old signature."""
    if chosen_hook(config) != "raw_tracepoint":
        return False
    _, fields = struct_layout(KERNEL_TYPES.read_bytes(), "trace_event_raw_mark_victim")
    return "uid" not in fields


def chosen_hook(config: pytest.Config) -> str:
    """Return the rung under test."""
    if hook := config.getoption("--hook"):
        return str(hook)
    with attach(object_file.read_object()) as probe:
        config.option.hook = probe.hook
    return probe.hook


@pytest.fixture(scope="session")
def hook(pytestconfig: pytest.Config) -> str:
    return chosen_hook(pytestconfig)


@pytest.fixture(scope="session")
def hog_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hog.c, compiled; or as the environment has it, where a guest would compile it each time."""
    if made := os.environ.get("CONTAINER_OOMKILL_HOG"):
        return Path(made)
    program = tmp_path_factory.mktemp("hog") / "hog"
    command = ["cc", "-O1", "-Wall", "-Werror", "-pthread", str(SOURCE), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


@pytest.fixture(scope="session")
def fast_count_error_bytes() -> int:
    """How far the kernel's log may be from the truth, per counter.

    From v6.2 its counters are per CPU and up to v6.18 the log adds none of the CPUs' shares:
    at most a batch of max(32, 2 * CPUs) pages for each CPU (lib/percpu_counter.c).
    """
    version = tuple(int(part) for part in platform.release().split(".")[:2])
    if not (6, 2) <= version <= (6, 18):
        return 0
    cpus = os.cpu_count() or 1
    return max(32, 2 * cpus) * cpus * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def handed_over_bytes() -> int:
    """How much a victim's thread may add to a counter between our reading and the log's line.

    Up to v6.1 each thread keeps up to TASK_RSS_EVENTS_THRESH pages to itself (mm/memory.c) and
    hands them over when it leaves: at once, on another CPU, after SIGKILL.
    """
    version = tuple(int(part) for part in platform.release().split(".")[:2])
    return 64 * os.sysconf("SC_PAGE_SIZE") if version < (6, 2) else 0


@pytest.fixture
def kernel_log() -> Iterator[KernelLog]:
    with KernelLog() as log:
        yield log


@pytest.fixture(scope="session")
def attached_recorder(hook: str) -> Iterator[Recorder]:
    """One for all tests: starting Python takes seconds in an emulated guest."""
    with Recorder(hook) as recorder:
        yield recorder


@pytest.fixture
def recorder(attached_recorder: Recorder) -> Recorder:
    """A recorder that has nothing left to say of the tests before."""
    attached_recorder.skip_to_now()
    return attached_recorder


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_cgroups(stack: ExitStack) -> Callable[..., list[Cgroup]]:
    """Make cgroups that are gone when the test is over."""
    return lambda *paths: stack.enter_context(cgroups(*paths))


@pytest.fixture
def hog(stack: ExitStack, hog_program: Path) -> Callable[..., Hog]:
    """Start hogs that are gone, before their cgroups, when the test is over."""

    def start(cgroup: Cgroup, script: str, **options: list[str]) -> Hog:
        started = Hog(hog_program, cgroup, script, **options)
        stack.callback(started.close)
        return started

    return start
