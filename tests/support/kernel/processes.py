# SPDX-License-Identifier: Apache-2.0
"""Takes arguments, gives hogs in cgroups and the command under test, as processes."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from container_oomkill.probe.kernel_counts import read_kernel_kills

from .cgroups import Cgroup
from .evidence import recorded

DEADLINE = 120  # seconds; emulated guests are slow
COMMAND = Path(sysconfig.get_path("scripts")) / "container-oomkill"
HOG_SOURCE = Path(__file__).with_name("hog.c")


def compile_hog(program: Path, *options: str) -> Path:
    """Compile hog.c into a program."""
    command = ["cc", "-O1", "-Wall", "-Werror", *options, "-pthread", str(HOG_SOURCE)]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


class Hog:
    """hog.c, inside a cgroup from before its first page.

    `script`: its arguments, or a line of them.
    """

    def __init__(
        self,
        program: Path,
        cgroup: Cgroup,
        script: str | Sequence[str | bytes | Path],
        *,
        wrap: Sequence[str] = (),
    ) -> None:
        words = script.split() if isinstance(script, str) else script
        self.process = subprocess.Popen(
            [*wrap, str(program), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=cgroup.enter,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def ready(self) -> Self:
        """Wait for its script to reach ``ready``."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        return self

    def go(self) -> Self:
        """Let its script go on behind ``go``."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self

    def was_killed(self) -> bool:
        """Wait for its end and tell whether SIGKILL was the cause."""
        return self.process.wait(DEADLINE) == -signal.SIGKILL

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Recorder:
    """`container-oomkill probe -o json`, attached; each line is a record."""

    def __init__(self, hook: str, *options: str, wrap: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*wrap, sys.executable, str(COMMAND), "probe", "-o", "json", "--hook", hook, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._selector = selectors.DefaultSelector()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._selector.register(self.process.stdout, selectors.EVENT_READ)
        self._unread = b""
        self._kills = 0  # told, as the kernel counts them
        attached = self.process.stderr.readline()
        assert attached == f"container-oomkill: attached by {hook}\n".encode(), (
            attached + self.process.stderr.read()
        ).decode()
        self._kills_before = read_kernel_kills()

    def record(self) -> dict[str, Any]:
        """Return the next record; fails if none comes in time."""
        record = self._next()
        recorded(record)
        return record

    def has_told_all(self) -> bool:
        """Whether it has told as many kills as the kernel counts."""
        kills, before = read_kernel_kills(), self._kills_before
        return kills is not None and before is not None and kills - before == self._kills

    def skip_past(self, tid: int) -> None:
        """Drop every record up to that of this victim, killed behind all that is to be dropped.

        What waits in the pipe is not all of it: a recorder that nobody reads fills the pipe, and
        has the rest still in its ring.
        """
        while self._next()["victims"][0]["tid"] != tid:
            pass

    def _next(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.line())
        self._kills += len(record["victims"]) + bool(record["oom"]["group"])
        return record

    def line(self) -> str:
        """Return the next record as it was written; fails if none comes in time."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + DEADLINE
        while b"\n" not in self._unread:
            assert self._selector.select(deadline - time.monotonic()), self._none_came()
            read = os.read(self.process.stdout.fileno(), 65536)
            assert read, "the recorder ended: " + self.errors()
            self._unread += read
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode()

    def _none_came(self) -> str:
        """Whether a kill is missing, or was none: by the kernel's own count, since it attached."""
        kills, before = read_kernel_kills(), self._kills_before
        assert kills is not None
        assert before is not None
        told = f"of {kills - before} kills by the kernel's count it told {self._kills}"
        return f"no record came: {told}"

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does; return its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        self.process.kill()
        self.process.communicate()
