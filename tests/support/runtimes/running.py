# SPDX-License-Identifier: Apache-2.0
"""Runs daemons of the tests' own, and containers in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from ..kernel.cgroups import V2_ROOT
from ..kernel.processes import DEADLINE, Recorder

SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REQUIRE = "OOMKILL_TEST_RUNTIMES"


def program(name: str, packages: str) -> str:
    """Return the path of a runtime's program; skip where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path=SYSTEM)
    if found is None:
        reason = f"no {name} here: apt-get install {packages}"
        if os.environ.get(REQUIRE) == "all":
            pytest.fail(f"{reason} ({REQUIRE}=all forbids to skip)")
        pytest.skip(f"{reason} ({REQUIRE}=all makes this a failure)")
    return found


def output(*command: str) -> str:
    """Run a command to its end; its error output is in the failure."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
    return ended.stdout.strip()


@contextlib.contextmanager
def daemon(command: Sequence[str], log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """Run a daemon, wait until it is ready, end it and wait for that."""
    environ = {**os.environ, "PATH": os.environ["PATH"] + ":" + SYSTEM}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environ)
    try:
        deadline = time.monotonic() + DEADLINE
        while not ready():
            tail = log.read_text(errors="replace")[-2000:]
            assert process.poll() is None, f"{command[0]} ended: {tail}"
            assert time.monotonic() < deadline, f"{command[0]} is not ready: {tail}"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def record_of(recorder: Recorder, container_id: str) -> dict[str, Any]:
    """Return the next record of a container; others on this machine may be killed meanwhile."""
    while True:
        record = recorder.next()
        if record["container"]["id"] == container_id:
            return record


def remove_cgroups(*paths: str) -> None:
    """Remove cgroups, if nothing is in them: runtimes leave the upper ones, in every hierarchy."""
    for root in (V2_ROOT, *(each for each in V2_ROOT.iterdir() if each.is_dir())):
        for path in paths:
            with contextlib.suppress(OSError):
                (root / path.lstrip("/")).rmdir()


class Started:
    """A client that runs a container in the foreground, attached to its hog."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        id_file: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        """``folder``: where it is run; Podman's conmon leaves a file "oom" there after a kill."""
        self.name = name
        self._id_file = id_file
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> Self:
        """Wait for its script to reach ``ready``."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "ready\n", line + self.errors()
        return self

    def go(self) -> Self:
        """Let its script go on behind ``go``."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self

    def status(self) -> int:
        """Return the exit status of the container, which is the client's."""
        self.process.communicate(timeout=DEADLINE)
        return self.process.returncode

    def id(self) -> str:
        """Return the container's id, by the engine's word."""
        assert self._id_file is not None
        return self._id_file.read_text().strip()

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep that many CPUs busy."""
    command = ["sh", "-c", "while :; do :; done"]
    running = [subprocess.Popen(command) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGKILL)
            process.wait()
