# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests with real kills, and how exact this kernel's own numbers are."""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from . import huge_pages
from .cgroups import Cgroup, cgroups
from .judging import IN_FLIGHT_BYTES, assert_agrees, assert_explains
from .kernel_log import KernelLog
from .mounts import mounted, ram_disk, swap_on
from .processes import Hog, Recorder, compile_hog

SWAP_MIB = 16


@pytest.fixture(scope="session")
def hook(request: pytest.FixtureRequest) -> str:
    """Each hook under test: see --hook."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="session")
def hog_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hog.c, compiled; or as the environment has it, where a guest would compile it each time.

    Copied, for a guest's own files are in RAM: before a kill a hog's pages are dropped and read
    again, which from the host's files takes a second.
    """
    program = tmp_path_factory.mktemp("hog") / "hog"
    if made := os.environ.get("OOMKILL_TEST_HOG"):
        return Path(shutil.copy(made, program))
    return compile_hog(program)


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
def recorder(attached_recorder: Recorder) -> Recorder:
    """A recorder that says nothing of the tests before."""
    attached_recorder.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return attached_recorder


@pytest.fixture
def judged(
    recorder: Recorder,
    kernel_log: KernelLog,
    fast_count_error_bytes: int,
    handed_over_bytes: int,
) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """Take the next record of one kill, hold it against the kernel's log; give it, its victim."""

    def judge(
        handed_over: int = 0, charged_to: str | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        record = recorder.record()
        (victim,) = record["victims"]
        killed = kernel_log.killed(victim["tid"])
        if record["trigger"]["pid"] != victim["pid"]:
            handed_over = max(handed_over, IN_FLIGHT_BYTES, handed_over_bytes)
        assert_agrees(victim, killed, fast_count_error_bytes, handed_over)
        if kernel_log.report:
            assert_explains(record, kernel_log.report, charged_to)
        return record, victim

    return judge


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_cgroups(stack: ExitStack) -> Callable[..., list[Cgroup]]:
    """Make cgroups that are gone when the test is over.

    /oomkill-NAME has this run's number before the name: there may be another one on the machine.
    """
    ours = f"/oomkill-{os.getpid()}-"

    def make(*paths: str) -> list[Cgroup]:
        own = [re.sub("^/oomkill-", ours, path) for path in paths]
        return stack.enter_context(cgroups(*own))

    return make


@pytest.fixture
def hog(stack: ExitStack, hog_program: Path) -> Callable[..., Hog]:
    """Start hogs that are gone, before their cgroups, when the test is over."""

    def start(cgroup: Cgroup, script: str, **options: list[str]) -> Hog:
        started = Hog(hog_program, cgroup, script, **options)
        stack.callback(started.close)
        return started

    return start


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "tmpfs", "-t", "tmpfs", "-o", "size=128m", "tmpfs") as folder:
        yield folder


@pytest.fixture
def disk() -> Iterator[Path]:
    """Something with a page cache: in a guest the files a test can write are all in a tmpfs."""
    with ram_disk(64) as device:
        yield device


@pytest.fixture
def uncached_file(tmp_path: Path) -> Iterator[Path]:
    """64 MiB that nobody has read: who reads them is charged for their page cache."""
    if os.environ.get("OOMKILL_TEST_GUEST"):  # where files are in a tmpfs
        with ram_disk(64) as device:
            yield device
        return
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    yield path
    path.unlink()


@pytest.fixture
def swap() -> Iterator[int]:
    """The only swap; its size in bytes."""
    with swap_on(SWAP_MIB) as size:
        yield size


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Little of the node's memory is free, see `huge_pages`."""
    with huge_pages.little_memory():
        yield
