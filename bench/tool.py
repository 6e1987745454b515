# SPDX-License-Identifier: Apache-2.0
"""Runs a tool on a terminal of its own until it has attached, and measures what it costs."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

LIMIT_SECONDS = 240  # bcc compiles against the kernel's headers, in an emulated guest
END_SECONDS = 20
KPROBES = Path("/sys/kernel/debug/kprobes/list")


class Tool:
    """A context manager; made, it is attached. ``seconds``: from exec to then.

    It is attached when it has said ``sign``; one without a sign when its kprobe is in the kernel's
    list, as bpftrace and bcc speak before they are.
    """

    def __init__(self, argv: list[str], sign: str | None) -> None:
        self._said: list[tuple[float, bytes]] = []
        self._new = threading.Condition()
        _until(lambda: not _kprobe_is_there())  # the one before has gone
        started = time.monotonic()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execv(argv[0], argv)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            if sign is None:
                _until(_kprobe_is_there)
                self.seconds = time.monotonic() - started
            else:
                self.seconds = self.said(sign, 0, LIMIT_SECONDS) - started
        except TimeoutError as error:
            self.close()
            raise TimeoutError(
                f"not attached within {LIMIT_SECONDS} s: {self.text(0)!r}"
            ) from error

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # it has ended
                return
            with self._new:
                self._said.append((time.monotonic(), data))
                self._new.notify()

    def mark(self) -> int:
        """Where its output ends now."""
        return len(self._said)

    def text(self, since: int) -> str:
        """What it has said since a mark."""
        return b"".join(data for _, data in self._said[since:]).decode(errors="replace")

    def said(self, word: str, since: int, seconds: float) -> float:
        """Wait for a word; the time when all of it was there. Raises `TimeoutError`."""
        deadline = time.monotonic() + seconds
        with self._new:
            while (at := when(word, self._said[since:])) is None:
                if not self._new.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"did not say {word}, but {self.text(0)[-500:]!r}")
            return at

    def names(self, words: list[str], since: int, seconds: float) -> int:
        """How many of the words it says, as whole words, until all or the time is out."""
        deadline = time.monotonic() + seconds
        while True:
            seen = len(set(re.findall(r"\w+", self.text(since))).intersection(words))
            if seen == len(words) or time.monotonic() > deadline:
                return seen
            time.sleep(0.2)

    def memory_mib(self, name: str) -> float:
        """A line of smaps_rollup: Pss, Rss."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        found = re.search(rf"^{name}: +(\d+)", text, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024

    def jiffies(self) -> int:
        """CPU time so far, in the clock ticks of /proc, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def wakeups(self) -> int:
        """How often one of its threads went to sleep by itself, so far."""
        return sum(
            int(line.split()[1])
            for task in Path(f"/proc/{self.pid}/task").iterdir()
            for line in (task / "status").read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches:")
        )

    def kernel_ns(self) -> int | None:
        """Time its BPF programs have run so far; None if it holds none open. Needs bpf_stats."""
        total: dict[str, int] = {}
        for info in Path(f"/proc/{self.pid}/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                fields = dict(
                    line.split(":", 1) for line in info.read_text().splitlines() if ":" in line
                )
                if "run_time_ns" in fields:
                    total[fields["prog_id"].strip()] = int(fields["run_time_ns"])
        return sum(total.values()) if total else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it as Ctrl-C does; one that does not obey, while it compiles for one, is killed."""
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            deadline = time.monotonic() + END_SECONDS
            while not (ended := os.waitpid(self.pid, os.WNOHANG)[0]):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
            if ended:
                break
        self._reader.join()
        os.close(self._terminal)


def when(word: str, said: Iterable[tuple[float, bytes]]) -> float | None:
    """When the last piece of a word came, of pieces with their times; None: it is not there."""
    text = b""
    for at, data in said:
        text += data
        if word.encode() in text:
            return at
    return None


def _kprobe_is_there() -> bool:
    return b"oom_kill_process" in KPROBES.read_bytes()


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no change in {KPROBES}")
        time.sleep(0.005)
