# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the kernel tests, and what this kernel is taken to give."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.libbpf.btf import struct_layout
from container_oomkill.probe import object_file
from container_oomkill.probe.attach import attach

from ..support.kernel import evidence
from ..support.kernel.cgroups import V1_ROOT, Cgroup, cgroups, is_hybrid, is_v1
from ..support.kernel.judging import IN_FLIGHT_BYTES, assert_agrees, assert_explains
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder
from ..support.kernel.results import Results, hook_of

KERNEL_TYPES = Path("/sys/kernel/btf/vmlinux")
SOURCE = Path(__file__).parents[1] / "support" / "kernel" / "hog.c"
CAP_SYS_RESOURCE = 24  # include/uapi/linux/capability.h
SPARE_NODE = Path("/sys/devices/system/node/node3")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hook", help="hooks to test, with commas (default: the best that attaches here)"
    )
    parser.addoption("--refused", help="hooks that this kernel does not have: see refused")
    parser.addoption("--objects", type=Path, help="folder of other builds: see test_compilers")
    parser.addoption("--results", type=Path, help="file for a line of JSON per test: see results")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(what): what a kernel test asks of the machine")
    if path := config.getoption("--results"):
        config.pluginmanager.register(Results(path), "results")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that needs a hook runs once for each; all of one hook's, then the next's."""
    if "hook" not in metafunc.fixturenames:
        return
    if metafunc.module.__name__.endswith(".refused"):
        hooks = metafunc.config.getoption("--refused").split(",")
    else:
        hooks = chosen_hooks(metafunc.config)
    metafunc.parametrize("hook", hooks, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this kernel cannot show, and say so: see `lacking`."""
    results = config.pluginmanager.get_plugin("results")
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    left_out = []
    for item in items:
        if results:
            results.expect(item)
        needs = (marker.args[0] for marker in item.iter_markers("needs"))
        if reason := next(filter(None, (lacking(what, hook_of(item)) for what in needs)), None):
            left_out.append(item)
            reporter.write_line(f"left out: {item.name}: {reason}")
            if results:
                results.left_out(item, reason)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def lacking(what: str, hook: str | None) -> str | None:
    """Return why this machine or hook does not have it; None if it does."""
    raw = hook == "raw_tracepoint"
    reasons = {
        "cgroup v2": "the memory controller is on cgroup v1" if is_v1() else None,
        "a count of looks": (
            "cgroup v1 does not count how often the kernel has looked for a victim"
            if is_v1()
            else None
        ),
        "hybrid": None if is_hybrid() else "one cgroup hierarchy only, so nothing to mix up",
        "CAP_SYS_RESOURCE": (
            None if may_spare() else "without CAP_SYS_RESOURCE oom_score_adj cannot be lowered"
        ),
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
            "the raw_tracepoint hook does not see whom the kernel looks at" if raw else None
        ),
        "nodes": None
        if SPARE_NODE.exists()
        else "one memory node only, so none that could run out alone",
        "memory and swap": (
            None
            if (V1_ROOT / "memory.memsw.limit_in_bytes").exists()
            else "only cgroup v1 limits memory and swap together, where swap is accounted for"
        ),
        "oom_control": "the tracepoint does not have the kernel's oom_control" if raw else None,
        "the task": (
            "this kernel's tracepoint gives the raw_tracepoint hook a pid, not the task"
            if raw and gives_pid_only()
            else None
        ),
    }
    return reasons[what]


@functools.cache
def gives_pid_only() -> bool:
    """Whether the kernel's mark_victim tracepoint has the old signature."""
    _, fields = struct_layout(KERNEL_TYPES.read_bytes(), "trace_event_raw_mark_victim")
    return "uid" not in fields


@functools.cache
def may_spare() -> bool:
    """Whether a process here may make itself unkillable."""
    status = Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return bool(effective & 1 << CAP_SYS_RESOURCE)


def chosen_hooks(config: pytest.Config) -> list[str]:
    """Return the hooks under test."""
    if not config.getoption("--hook"):
        with attach(object_file.read_object()) as probe:
            config.option.hook = probe.hook
    hooks: list[str] = config.getoption("--hook").split(",")
    return hooks


@pytest.fixture(scope="session")
def hook(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(autouse=True)
def shown(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep with the test what it has shown of the record's fields."""
    evidence.collected.clear()
    yield
    request.node.user_properties.append(("fields", dict(evidence.collected)))


@pytest.fixture(scope="session")
def hog_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hog.c, compiled; or as the environment has it, where a guest would compile it each time.

    Copied, for a guest's own files are in RAM: before a kill a hog's pages are dropped and read
    again, which from the host's files takes a second.
    """
    program = tmp_path_factory.mktemp("hog") / "hog"
    if made := os.environ.get("CONTAINER_OOMKILL_HOG"):
        return Path(shutil.copy(made, program))
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

    Up to v6.1 each thread keeps to itself what up to TASK_RSS_EVENTS_THRESH faults brought
    (mm/memory.c), and hands it over when it leaves: at once, on another CPU, after SIGKILL.
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
def recorder(attached_recorder: Recorder, hog_program: Path) -> Recorder:
    """A recorder that has nothing left to say of the tests before.

    Where it may have, a kill of its own comes behind all of theirs, in the ring as in the kernel's
    log: the hog, which asks itself, ends only once its line is written.
    """
    if attached_recorder.has_told_all():
        return attached_recorder
    with cgroups("/oomkill-before") as (cgroup,):
        cgroup.limit(4)
        last = Hog(hog_program, cgroup, "anon 8")
        assert last.was_killed()
        last.close()
    attached_recorder.skip_past(last.pid)
    return attached_recorder


@pytest.fixture
def judged(
    recorder: Recorder, kernel_log: KernelLog, fast_count_error_bytes: int
) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """Take the next record of one kill, hold it against the kernel's log; give it, its victim."""

    def judge(handed_over: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
        record, killed = recorder.record(), kernel_log.killed()
        (victim,) = record["victims"]
        if record["trigger"]["pid"] != victim["pid"]:
            handed_over = max(handed_over, IN_FLIGHT_BYTES)
        assert_agrees(victim, killed, fast_count_error_bytes, handed_over)
        if kernel_log.report:
            assert_explains(record, kernel_log.report)
        return record, victim

    return judge


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
