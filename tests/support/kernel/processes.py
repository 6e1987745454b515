# SPDX-License-Identifier: Apache-2.0
"""Runs hogs in cgroups, and the command under test, as processes."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from container_oomkill.probe.kernel_counts import read_kernel_kills

from .cgroups import Cgroup, ids_of_ours, paths_of_ours
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
    """hog.c, inside a cgroup, if one is given, from before its first page.

    `script`: its arguments, or a line of them.
    """

    def __init__(
        self,
        program: Path,
        cgroup: Cgroup | None,
        script: str | Sequence[str | bytes | Path],
        *,
        wrap: Sequence[str] = (),
    ) -> None:
        words = script.split() if isinstance(script, str) else script
        self.process = subprocess.Popen(
            [*wrap, str(program), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=None if cgroup is None else cgroup.enter,
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


@dataclass(frozen=True)
class Told:
    """A record that came, whoever it is of."""

    sequence: int
    pid: int
    ours: bool


class Recorder:
    """`container-oomkill probe -o json`, attached; each line is a record.

    Others on this machine may be killed meanwhile: their records are read, and left out.
    """

    def __init__(
        self, hook: str, *options: str, wrap: Sequence[str] = (), reading: bool = True
    ) -> None:
        """``reading``: take what it writes as it comes, so that it never waits for a reader."""
        self.process = subprocess.Popen(
            [*wrap, sys.executable, str(COMMAND), "probe", "-o", "json", "--hook", hook, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.told: list[Told] = []
        self.since_ns = 0  # CLOCK_BOOTTIME; a kill before was another test's
        self._kills = 0  # told, as the kernel counts them
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._others: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()  # kills by others
        self._stuck: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        assert self.process.stderr is not None
        attached = self.process.stderr.readline()
        assert attached == f"container-oomkill: attached with {hook}\n".encode(), (
            attached + self.process.stderr.read()
        ).decode()
        self._kills_before = read_kernel_kills()
        if reading:
            self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith(b"\n"):  # it was killed in the middle of one
                continue
            record = json.loads(line)
            if record["kind"] == "kill":
                self._others.put(record)
            elif record["kind"] == "stuck":
                self._stuck.put(record)
            else:
                self._lines.put(line.decode())
        self._lines.put(None)

    def record(self) -> dict[str, Any]:
        """Return the next record of a kill in a cgroup of ours; fails if none comes in time."""
        record: dict[str, Any] = json.loads(self.line())
        recorded(record)
        return record

    def kill_by_another(self, cgroup: str) -> dict[str, Any]:
        """Return the next record of SIGKILL by others in a cgroup; fails if none comes in time."""
        while (record := self._kill_by_another())["target"]["cgroup"] != cgroup:
            pass
        return record

    def were_stuck(self) -> set[str]:
        """Take all records of what was out of memory without a kill; return the cgroups."""
        found = set()
        while not self._stuck.empty():
            found.add(self._stuck.get()["cgroup"])
        return found

    def stuck(self, cgroup: str) -> dict[str, Any]:
        """Return the next record of what was out of memory without a kill in a cgroup."""
        while True:
            try:
                record = self._stuck.get(timeout=DEADLINE)
            except queue.Empty:
                raise AssertionError("no record came of what was stuck") from None
            if record["cgroup"] == cgroup:
                return record

    def wait_until_said(self, text: str) -> None:
        """Read what it says, up to a line with that text; fails if none comes in time."""
        assert self.process.stderr is not None
        late = threading.Timer(DEADLINE, self.process.kill)
        late.start()
        try:
            said = any(text.encode() in line for line in self.process.stderr)
            assert said, f"it never said {text}"
        finally:
            late.cancel()

    def _kill_by_another(self) -> dict[str, Any]:
        try:
            return self._others.get(timeout=DEADLINE)
        except queue.Empty:
            raise AssertionError("no record came of a kill by another") from None

    def kills_by_others_until(self, cgroup: str) -> Counter[str | None]:
        """Take all that comes before one of that cgroup; return how many of each other one."""
        found: Counter[str | None] = Counter()
        while (path := self._kill_by_another()["target"]["cgroup"]) != cgroup:
            found[path] += 1
        return found

    def line(self) -> str:
        """Return it as it was written."""
        deadline = time.monotonic() + DEADLINE
        while True:
            line = self._next(deadline)
            assert line is not None, "the recorder ended: " + self.errors()
            if self.told[-1].ours:
                return line

    def next(self) -> dict[str, Any]:
        """Return the next record, whoever it is of; fails if none comes in time."""
        line = self._next(time.monotonic() + DEADLINE)
        assert line is not None, "the recorder ended: " + self.errors()
        record: dict[str, Any] = json.loads(line)
        return record

    def rest(self) -> list[Told]:
        """Take what it wrote before it ended; return all that it ever told."""
        while self._next(time.monotonic() + DEADLINE) is not None:
            pass
        return self.told

    def _next(self, deadline: float) -> str | None:
        """Take the next record; None: it has ended, and there is no more."""
        try:
            line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            raise AssertionError(self._none_came()) from None
        if line is None:
            self._lines.put(None)  # for whoever asks again
            return None
        record = json.loads(line)
        self._kills += len(record["victims"]) + bool(record["oom"]["group"])
        ours = record["boot_ns"] >= self.since_ns and _is_of_ours(record)
        self.told.append(Told(record["sequence"], record["victims"][0]["pid"], ours))
        return line

    def _none_came(self) -> str:
        """Whether a kill is missing, or was none: by the kernel's own count, since it attached.

        It is ended, for what it says then of what it lost.
        """
        kills, before = read_kernel_kills(), self._kills_before
        assert kills is not None
        assert before is not None
        told = f"of {kills - before} kills by the kernel's count it told {self._kills}"
        with suppress(subprocess.TimeoutExpired):
            self.stop()
        self.process.kill()  # it may hang, which is why none came
        return f"no record came: {told}; {self.errors()}"

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
        self.process.kill()
        if self._reader.is_alive():
            self._reader.join()
        self.process.communicate()


def _is_of_ours(record: dict[str, Any]) -> bool:
    """The raw tracepoint may know the victim's pid only; then who asked says where it was."""
    places = [*record["victims"], record["domain"] or {}]
    known = {place["cgroup_id"] for place in places if place.get("cgroup_id") is not None}
    if known:
        return not known.isdisjoint(ids_of_ours())
    return record["trigger"]["cgroup"] in paths_of_ours()
