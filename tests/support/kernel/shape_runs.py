# SPDX-License-Identifier: Apache-2.0
"""Runs drawn programs side by side, each in a cgroup of its own, and looks at what they use."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from .cgroups import MIB, Cgroup, is_v1
from .mounts import ram_disk
from .processes import Hog, Recorder
from .shape_scripts import FILE_SPAN_MIB, Script

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

AT_ONCE = 14  # they mostly sleep
AT_ONCE_MIB = 420  # of limits: a guest has 1 GiB
UNSEEN_TICKS = 6.0  # between two looks at it, at most
LATE_TICKS = 3.0  # how far behind its script a program may be, and still be what was drawn
EARLY_TICKS = 2.0  # that it is ready is read late
LOOK_TICKS = 0.5  # what a look takes, at most
OVERHEAD_MIB = 5  # of a process, beside its own memory
NEARLY = 0.8  # of the limit: who is at it has some reclaimed
LONGEST_SECONDS = 300.0


def boot_ns() -> int:
    """The clock of a record's boot_ns."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Sample:
    """What memory.current said, so many ticks after the program began."""

    tick: float
    used_mib: float
    limit_mib: float


@dataclass
class Run:
    """A program at work."""

    script: Script
    cgroup: Cgroup
    hog: Hog
    part: int  # of the file
    tick_seconds: float
    limit_mib: float
    began_ns: int = field(default_factory=boot_ns)
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        name = "memory.usage_in_bytes" if is_v1() else "memory.current"
        self._usage = os.open(self.cgroup.folder / name, os.O_RDONLY)

    @property
    def now(self) -> float:
        return self.tick_of(boot_ns())

    def tick_of(self, at_ns: int) -> float:
        return (at_ns - self.began_ns) / 1e9 / self.tick_seconds

    def look(self) -> None:
        """Take a sample, and lower the limit when it is time to."""
        used = int(os.pread(self._usage, 32, 0)) / MIB
        self.samples.append(Sample(self.now, used, self.limit_mib))
        lowering = self.script.lowering
        is_lowered = self.limit_mib != self.script.limit_mib
        if lowering is not None and not is_lowered and self.now >= lowering.tick:
            limit = math.ceil(used) + lowering.room_mib
            self.cgroup.limit(limit)
            self.limit_mib = limit

    def has_ended(self) -> bool:
        assert self.now * self.tick_seconds < LONGEST_SECONDS, self.script
        return self.hog.process.poll() is not None

    def close(self) -> None:
        """When nobody looks any more."""
        os.close(self._usage)

    def off_script(self, killed_ns: int) -> str | None:
        """Return where its usage was not what was drawn: a slow machine is late; None: nowhere."""
        end = self.tick_of(killed_ns) - LOOK_TICKS  # what it has may be gone from then on
        samples = [sample for sample in self.samples if sample.tick < end]
        ticks = [0.0, *(sample.tick for sample in samples), max(end, 0.0)]
        if (gap := max(after - before for before, after in pairwise(ticks))) > UNSEEN_TICKS:
            return f"nobody looked for {gap:.1f} ticks"
        if self.script.own_mib is not None and end > self.script.ticks + 2 * LATE_TICKS:
            return f"it read until tick {end:.1f}, not {self.script.ticks:.1f}"
        for sample in samples:
            begin, until = max(sample.tick - LATE_TICKS, 0.0), sample.tick + EARLY_TICKS
            least, most = self.script.between(begin, until)
            least = min(least, NEARLY * sample.limit_mib)
            if self.script.own_mib is not None:  # what the kernel takes back is no script's
                least = min(least, self.script.own_mib)
            if not least - 1 <= sample.used_mib <= most + OVERHEAD_MIB:
                return (
                    f"at tick {sample.tick:.1f} it used {sample.used_mib:.1f} MiB, "
                    f"not {least:.1f} to {most:.1f}"
                )
        return None


@contextlib.contextmanager
def large_file(folder: Path) -> Iterator[Path]:
    """Zeros, a part for each of those that run at once. In a guest files are in a tmpfs."""
    size = AT_ONCE * FILE_SPAN_MIB
    if os.environ.get("OOMKILL_TEST_GUEST"):
        with ram_disk(size) as device:
            yield device
        return
    path = folder / "zeros"
    with path.open("wb") as file:
        file.truncate(size * MIB)
    yield path
    path.unlink()


class Runs:
    """Drawn programs, as many at a time as fit, and the record of each one's kill."""

    def __init__(
        self,
        recorder: Recorder,
        make_cgroups: MakeCgroups,
        hog: StartHog,
        file: Path,
        tick_seconds: float,
    ) -> None:
        self._recorder, self._make_cgroups, self._hog = recorder, make_cgroups, hog
        self._file, self._tick = file, tick_seconds
        self._parts = list(range(AT_ONCE))
        self._running: list[Run] = []
        self._made = 0
        self._done = threading.Event()

    def all(self, scripts: Sequence[Script]) -> list[tuple[Run, dict[str, Any]]]:
        """Run them; return each with the record of its kill."""
        waiting, ended = list(scripts), []
        self._done.clear()
        looking = threading.Thread(target=self._look)
        looking.start()
        try:
            while waiting or self._running:
                if waiting and self._has_room_for(waiting[0]):
                    self._running.append(self._start(waiting.pop(0)))
                for run in [run for run in self._running if run.has_ended()]:
                    self._running.remove(run)
                    self._clean_up(run)
                    ended.append(run)
                time.sleep(self._tick / 4)
        finally:
            self._done.set()
            looking.join()
            for run in (*self._running, *ended):
                run.close()
        records = {}
        for _ in ended:
            record = self._recorder.record()
            records[record["victims"][0]["pid"]] = record
        return [(run, records[run.hog.pid]) for run in ended]

    def _look(self) -> None:
        """In a thread: to start a program takes a slow machine seconds."""
        while not self._done.wait(self._tick / 4):
            for run in self._running[:]:
                with contextlib.suppress(OSError):  # it is gone
                    run.look()

    def _has_room_for(self, script: Script) -> bool:
        taken = sum(run.script.limit_mib for run in self._running)
        return bool(self._parts) and taken + script.limit_mib <= AT_ONCE_MIB

    def _start(self, script: Script) -> Run:
        self._made += 1
        (cgroup,) = self._make_cgroups(f"/oomkill-shape-{self._made}")
        cgroup.limit(script.limit_mib)
        part = self._parts.pop()
        words = script.text(self._tick, f"{self._file} {part * FILE_SPAN_MIB}")
        hog = self._hog(cgroup, words).ready()
        return Run(script, cgroup, hog, part, self._tick, script.limit_mib)

    def _clean_up(self, run: Run) -> None:
        assert run.hog.process.returncode == -signal.SIGKILL, (run.script, run.samples[-5:])
        run.hog.close()
        run.cgroup.remove()
        with self._file.open("rb") as file:
            begin, size = run.part * FILE_SPAN_MIB * MIB, FILE_SPAN_MIB * MIB
            os.posix_fadvise(file.fileno(), begin, size, os.POSIX_FADV_DONTNEED)
        self._parts.append(run.part)
