# SPDX-License-Identifier: Apache-2.0
"""Takes a container's kills, gives what they have in common: their shape, and how far apart.

"leak, 5th time in a row, every 6 h". A kill whose shape is unknown ends the row: what is not known
is not counted. A rhythm needs several kills in a row at nearly the same distance; one that was not
seen doubles one distance, and nothing is said then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from ..incident.model import Incident
from ..units import about, ordinal

RHYTHM_LEAST = 3  # distances, so four kills: two may be alike by chance
RHYTHM_MOST = 8  # the latest ones: a program that was changed has another rhythm
ALIKE = 0.2  # of their median, by which distances may differ from it
SHORTEST_SECONDS = 1.0  # what is killed faster is one event in pieces


@dataclass(frozen=True, slots=True)
class Habit:
    """``times``: this kill and those right before it that have its shape."""

    shape: str
    times: int
    every_seconds: float | None = None
    earlier: tuple[str, int] | None = None  # of a first time: the shape before, how often in a row
    is_least: bool = False  # there may be more than are known

    def words(self) -> str:
        called = shape_words(self.shape)
        least = "at least " if self.is_least else ""
        if self.times > 1:
            words = f"{called}, {least}{ordinal(self.times)} time in a row"
            return words + (f", every {about(self.every_seconds)}" if self.every_seconds else "")
        if self.earlier is not None:
            shape, times = self.earlier
            often = f" {least}{times} times in a row" if times > 1 else ""
            return f"{called}, after {shape_words(shape)}{often}"
        return called


def find_habit(newest_first: Sequence[Incident], *, is_least: bool = False) -> Habit | None:
    """Return what the first one is part of; None where its shape is unknown.

    ``newest_first``: a container's kills, up to the one in question. ``is_least``: of this
    container there were earlier ones that are not there any more.
    """
    if not newest_first or (shape := _shape(newest_first[0])) is None:
        return None
    row = _row(newest_first)
    if row > 1 or row == len(newest_first):
        every = rhythm([each.time for each in newest_first[:row]])
        return Habit(shape, row, every, is_least=is_least and row == len(newest_first))
    before = newest_first[row:]
    earlier = _shape(before[0])
    if earlier is None:
        return Habit(shape, row)
    again = _row(before)
    return Habit(shape, row, earlier=(earlier, again), is_least=is_least and again == len(before))


def rhythm(newest_first: Sequence[float]) -> float | None:
    """Return how many seconds are between kills at these times; None where there is no rhythm."""
    apart = list(islice(_distances(newest_first), RHYTHM_MOST))
    if len(apart) < RHYTHM_LEAST:
        return None
    middle = sorted(apart)[len(apart) // 2]  # statistics would bring in decimal: 350 KB
    if middle < SHORTEST_SECONDS or any(abs(each - middle) > ALIKE * middle for each in apart):
        return None
    return middle


def shape_words(shape: str) -> str:
    """Return a shape's name as it is spelled in a sentence."""
    return "start-up" if shape == "start_up" else shape.replace("_", " ")


def _distances(newest_first: Sequence[float]) -> Iterator[float]:
    return (later - earlier for later, earlier in pairwise(newest_first))


def _shape(incident: Incident) -> str | None:
    return None if incident.before is None else incident.before.shape


def _row(newest_first: Sequence[Incident]) -> int:
    """Count those at the begin that have one shape."""
    shape = _shape(newest_first[0])
    return next(
        (n for n, each in enumerate(newest_first) if _shape(each) != shape), len(newest_first)
    )
