# SPDX-License-Identifier: Apache-2.0
"""Takes a command, gives a daemon that can be killed, and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import urllib3

from ..runtimes.running import SYSTEM
from .settings import GUEST

PATIENCE = 300 if GUEST not in os.environ else 1200  # seconds, for anything: a guest is emulated


class NotInTimeError(Exception):
    """What a test waits for did not come; no assertion, which a test may be expected to fail."""


def wait_for(look: Callable[[], object], what: str, seconds: float = PATIENCE) -> float:
    """Wait until ``look`` finds something; return how long that took, in seconds.

    An API that does not answer in time is asked again.
    """

    def found() -> object:
        with contextlib.suppress(urllib3.exceptions.HTTPError, TimeoutError):
            return look()
        return None

    started = time.monotonic()
    while not found():
        if time.monotonic() - started > seconds:
            raise NotInTimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)
    return time.monotonic() - started


class Daemon:
    """One program; its log is kept when it is started anew."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.command = list(command)
        self.log = log
        self.name = Path(command[0]).name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, is_ready: Callable[[], object]) -> float:
        """Return how many seconds it took to be ready."""
        environ = {**os.environ, "PATH": f"/usr/lib/cni:{SYSTEM}"}
        environ.pop("XDG_RUNTIME_DIR", None)  # a login's: runc writes there, and /run is another
        with self.log.open("ab") as file:
            process = subprocess.Popen(self.command, stdout=file, stderr=file, env=environ)
        self._process = process

        def ready() -> object:
            if process.poll() is not None:
                raise NotInTimeError(f"{self.name} ended: {self.tail()}")
            return is_ready()

        return wait_for(ready, f"{self.name} is not ready")

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
