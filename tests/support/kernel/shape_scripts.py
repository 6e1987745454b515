# SPDX-License-Identifier: Apache-2.0
"""Programs drawn by chance, each of a shape that docs/verdicts.md defines, in the recorder's ticks.

A program is what hog.c does, and the curve that its usage then follows. Chance has the sizes, the
rates and the limits; they stay clear of where one definition ends and the next one begins, as what
a process needs beside its own memory and a late tick move a program by some of both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from container_oomkill.incident.shapes import (
    LEAK,
    LIMIT_LOWERED,
    PLATEAU,
    RAMP,
    SAWTOOTH,
    SPIKE,
    START_UP,
)

FILE_SPAN_MIB = 128  # of the file that all plateaus read, for each one: twice the largest limit
FILE = "{file}"  # in a script, where the path and where its part of the file begins
LIMITS_MIB = (24, 48)


@dataclass(frozen=True)
class Lowering:
    """At a tick the limit comes down to what is in use then, and some MiB."""

    tick: float
    room_mib: int


@dataclass
class Script:
    """Words for hog.c, ticks by ticks, and the curve of what it then holds, MiB."""

    shape: str
    limit_mib: int
    words: list[tuple[str, float | None]] = field(default_factory=list)  # ticks behind the word
    curve: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    lowering: Lowering | None = None
    own_mib: float | None = None  # of one that is at its limit by page cache, which gives way

    @property
    def ticks(self) -> float:
        return self.curve[-1][0]

    @property
    def held(self) -> float:
        return self.curve[-1][1]

    def to(self, ticks: float, mib: float) -> None:
        self.curve.append((self.ticks + ticks, self.held + mib))

    def grow(self, mib: int, ticks: float) -> None:
        self.words.append((f"grow {mib}", ticks))
        self.to(ticks, mib)

    def anon(self, mib: int) -> None:
        self.words.append((f"anon {mib}", None))
        self.to(0.0, mib)

    def sleep(self, ticks: float) -> None:
        self.words.append(("sleep", ticks))
        self.to(ticks, 0)

    def tooth(self, mib: int, ticks: float, times: int) -> None:
        """Grow by that much, and give it back, so often."""
        for _ in range(times):
            self.to(ticks, mib)
            self.to(0.0, -mib)
            self.words.append((f"saw {mib} {{ms}} 1", ticks))

    def read(self, mib: int, ticks: float, fill_ticks: float) -> None:
        """Read that much of a file; what is kept of it fills the cgroup in the given time."""
        self.words.append((f"read {FILE} {FILE_SPAN_MIB} {mib}", ticks))
        self.own_mib = self.held
        self.to(fill_ticks, self.limit_mib - self.held)
        self.to(ticks - fill_ticks, 0)

    def text(self, tick_seconds: float, file: str) -> str:
        """Return it for hog.c."""
        parts = ["ready"]
        for word, ticks in self.words:
            ms = "" if ticks is None else str(round(ticks * tick_seconds * 1000))
            filled = word.replace(FILE, file)
            parts.append(filled.replace("{ms}", ms) if "{ms}" in word else f"{filled} {ms}")
        return " ".join(parts)

    def between(self, begin: float, end: float) -> tuple[float, float]:
        """Return the least and the most that it holds from one tick to another."""
        inside = [mib for at, mib in self.curve if begin <= at <= end]
        values = [self.at(begin), self.at(end), *inside]
        return min(values), max(values)

    def at(self, tick: float) -> float:
        for (before, low), (after, high) in pairwise(self.curve):
            if before <= tick < after:
                return low + (high - low) * (tick - before) / (after - before)
        return self.held if tick >= self.ticks else 0.0


def _begin(shape: str, chance: random.Random, base: tuple[float, float]) -> Script:
    """It loads what it needs, a part of its limit, at once or within some ticks."""
    script = Script(shape, chance.randint(*LIMITS_MIB))
    mib = max(1, round(chance.uniform(*base) * script.limit_mib))
    if chance.random() < 0.5:
        script.anon(mib)
    else:
        script.grow(mib, chance.uniform(0.5, 3))
    return script


def _to_the_end(script: Script, ticks: float) -> None:
    """Grow to the limit in that time, and on at the same rate: it holds more than its own."""
    room = script.limit_mib - script.held
    script.grow(round(room * 1.5), ticks * 1.5)


def leak(chance: random.Random) -> Script:
    """Steady, evenly or in small steps."""
    script = _begin(LEAK, chance, (0.05, 0.5))
    ticks = chance.uniform(90, 150)
    if chance.random() < 0.5:
        _to_the_end(script, ticks)
        return script
    room = script.limit_mib - script.held
    step = chance.randint(1, max(1, int(room // 8)))
    for _ in range(round(room * 1.5 / step)):
        script.sleep(ticks * step / room)
        script.anon(step)
    return script


def start_up(chance: random.Random) -> Script:
    """From the first tick to the last, at one rate or at several."""
    script = _begin(START_UP, chance, (0.02, 0.4))
    rates = [chance.uniform(1, 4) for _ in range(chance.randint(1, 4))]
    ticks, room = chance.uniform(3, 45), script.limit_mib - script.held
    for rate in rates[:-1]:
        script.grow(max(1, round(room * rate / sum(rates))), ticks / len(rates))
    _to_the_end(script, ticks / len(rates))
    return script


def _settled(shape: str, chance: random.Random, ticks: float) -> Script:
    """It holds what it has, or a little more again and again."""
    script = _begin(shape, chance, (0.1, 0.6))
    if chance.random() < 0.5:
        script.sleep(ticks)
        return script
    small = max(1, round(0.05 * script.limit_mib))
    times = chance.randint(2, 6)
    script.tooth(small, ticks / times, times)
    return script


def spike(chance: random.Random) -> Script:
    took = chance.uniform(0, 6)
    script = _settled(SPIKE, chance, chance.uniform(max(12, 4 * took), 120))
    _to_the_end(script, took)
    return script


def ramp(chance: random.Random) -> Script:
    took = chance.uniform(20, 40)
    script = _settled(RAMP, chance, took * chance.uniform(2.4, 3.5))
    _to_the_end(script, took)
    return script


def sawtooth(chance: random.Random) -> Script:
    script = _begin(SAWTOOTH, chance, (0.05, 0.3))
    height = round(chance.uniform(0.4, 0.8) * script.limit_mib - script.held)
    height = max(height, round(0.35 * script.limit_mib))
    ticks, pause = chance.uniform(5, 12), chance.choice((0.0, chance.uniform(1, 5)))
    for _ in range(chance.randint(3, 6)):
        script.tooth(height, ticks, 1)
        if pause:
            script.sleep(pause)
    _to_the_end(script, chance.uniform(0, ticks))
    return script


def plateau(chance: random.Random) -> Script:
    """It reads more than fits, evenly, and at its end wants more than there is."""
    script = _begin(PLATEAU, chance, (0.1, 0.5))
    room = script.limit_mib - script.held
    fill = chance.uniform(room / 5, 20)
    ticks = fill + chance.uniform(max(16, 0.6 * fill), 60)
    script.read(round(room * ticks / fill), ticks, fill)
    script.anon(script.limit_mib)
    return script


def limit_lowered(chance: random.Random) -> Script:
    script = _begin(LIMIT_LOWERED, chance, (0.4, 0.7))
    script.sleep(chance.uniform(4, 40))
    script.lowering = Lowering(script.ticks, 1 + chance.randint(0, max(0, int(script.held // 12))))
    script.sleep(chance.uniform(3, 40))
    script.grow(24, chance.uniform(0, 60))
    return script


DRAWS: dict[str, Callable[[random.Random], Script]] = {
    START_UP: start_up,
    SPIKE: spike,
    RAMP: ramp,
    LEAK: leak,
    SAWTOOTH: sawtooth,
    PLATEAU: plateau,
    LIMIT_LOWERED: limit_lowered,
}


def draw(count: int, chance: random.Random) -> Sequence[Script]:
    """Return so many, as many of each shape as of the others, in an order of chance's."""
    shapes = [shape for shape, _ in zip(list(DRAWS) * count, range(count), strict=False)]
    chance.shuffle(shapes)
    return [DRAWS[shape](chance) for shape in shapes]
