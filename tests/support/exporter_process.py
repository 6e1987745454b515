# SPDX-License-Identifier: Apache-2.0
"""The exporter in a process of its own, from outside: for Prometheus, floods, the benchmark."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .waiting import PATIENCE_SECONDS


class Child:
    """The process, from the outside."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.pid = process.pid
        self.address = address
        self._process = process
        self.killed = False

    def tell(self, line: str) -> None:
        """Give an order and wait until it is carried out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer == "done\n", answer

    def kill(self) -> None:
        """End it as the kernel would."""
        self._process.kill()
        self.killed = True

    def memory(self, name: str = "Pss") -> int:
        """Bytes of a line of smaps_rollup: Pss, Rss, Anonymous."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return next(
            int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(name + ":")
        )

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        nanoseconds = Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]
        others = sum(
            int(task.read_text().split()[0])
            for task in Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        )
        return max(int(nanoseconds), others) / 1e9


@contextmanager
def running(*arguments: str) -> Iterator[Child]:
    """Run it on a free port of the loopback interface."""
    command = [sys.executable, "-m", "tests.support.exporter_main", *arguments]
    if not any(argument.startswith("--web.listen-address") for argument in arguments):
        command.append("--web.listen-address=127.0.0.1:0")
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        child = Child(process, process.stdout.readline().strip())
        yield child
        process.stdin.close()
        status = process.wait(PATIENCE_SECONDS)
        assert status == (-signal.SIGKILL if child.killed else 0)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
