# SPDX-License-Identifier: Apache-2.0
"""Takes a recording, gives its usage as one line of points, and what can be measured on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from ..incident.before import Reclaim, ReclaimOf, Recording, Series
from ..incident.model import Incident

GAP_PERIODS = 2.5  # without a sample for longer, nothing is known of it
SAME_SECONDS = 0.005  # what is rounded to the millisecond is no further apart


@dataclass(frozen=True, slots=True)
class Point:
    """What was in use so long before the kill; ``weight``: seconds that it stands for."""

    before_seconds: float
    bytes: int
    weight: float


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through the points; ``fit``: 1 where they are all on it, 0 where none."""

    bytes_per_second: float
    fit: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording, with what was in use at the kill and the limit then."""

    recording: Recording
    usage_bytes: int | None
    limit_bytes: int | None
    reclaiming_seconds: float  # how long memory had been reclaimed there, up to the kill


def recorded(incident: Incident) -> Recorded | None:
    """Return what was recorded of the domain; where nothing was, of the victim's cgroup."""
    before, domain, victim = incident.before, incident.domain, incident.victims[0]
    if before is None:
        return None
    reclaim = before.reclaim or Reclaim()
    if before.usage.domain is not None and domain is not None:
        reclaiming = _since(reclaim.domain)
        found = Recorded(before.usage.domain, domain.usage_bytes, domain.limit_bytes, reclaiming)
    elif before.usage.victim is not None:
        reclaiming = _since(reclaim.victim)
        found = Recorded(before.usage.victim, victim.usage_bytes, victim.limit_bytes, reclaiming)
    else:
        return None
    return found if found.recording.series and found.recording.recorded_seconds else None


def _since(reclaim: ReclaimOf | None) -> float:
    return 0.0 if reclaim is None else reclaim.first_before_seconds or 0.0


def timeline(recording: Recording, usage: int | None) -> list[Point]:
    """Return what is known, oldest first, each time by the finest series that has it.

    ``usage``: at the kill itself.
    """
    points: list[Point] = [] if usage is None else [Point(0.0, usage, 0.0)]
    finer: list[Point] = []
    for series in recording.series:
        finer += list(_points(series, finer, recording.recorded_seconds or 0.0))
    points += finer
    return sorted(points, key=lambda point: point.before_seconds, reverse=True)


def _points(series: Series, finer: Sequence[Point], recorded: float) -> Iterable[Point]:
    """A coarse value is put at the end of its period: until then there was no more than that.

    Of the period in which it began to be recorded, it stands for what was ``recorded`` (seconds).
    Where a finer series has a part of that period, and in it as much, nothing is known of the rest.
    """
    period = series.period_seconds
    covered = max((point.before_seconds for point in finer), default=0.0)
    for back, value in enumerate(reversed(series.usage_bytes)):
        begin = max(series.newest_before_seconds + back * period, 0.0)
        if value is None or (finer and begin <= covered):
            continue
        if not finer:
            yield Point(begin, value, period)
            continue
        end = max(begin - period, covered)
        since = begin - period - SAME_SECONDS
        known = (point.bytes for point in finer if point.before_seconds >= since)
        if end > begin - period and value <= max(known, default=0):
            continue
        yield Point(end, value, max(min(begin, recorded) - end, 0.0))


def unbroken(points: Iterable[Point]) -> Iterable[list[Point]]:
    """Yield the points, oldest first, in parts where samples are missing between two.

    What is between two of one part is known to be no more than they say: where a coarser series
    ends and a finer one begins there may be as much as a coarse period.
    """
    part: list[Point] = []
    for point in points:
        gap = part[-1].before_seconds - point.before_seconds if part else 0.0
        if gap > GAP_PERIODS * max(point.weight, part[-1].weight if part else 0.0):
            yield part
            part = []
        part.append(point)
    if part:
        yield part


def median(points: Sequence[Point]) -> float:
    """Return what was in use for half of the time at least."""
    ordered = sorted(points, key=lambda point: point.bytes)
    half = sum(point.weight for point in ordered) / 2
    for point in ordered:
        half -= point.weight
        if half <= 0:
            return float(point.bytes)
    return float(ordered[-1].bytes)


def trend(points: Sequence[Point]) -> Trend | None:
    """Return the line of the least squares; None for fewer than three points."""
    weight = sum(point.weight for point in points)
    if len(points) < 3 or not weight:
        return None
    mean_time = sum(-point.before_seconds * point.weight for point in points) / weight
    mean = sum(point.bytes * point.weight for point in points) / weight
    over_time = along = over_bytes = 0.0
    for point in points:
        time, bytes_ = -point.before_seconds - mean_time, point.bytes - mean
        over_time += point.weight * time * time
        along += point.weight * time * bytes_
        over_bytes += point.weight * bytes_ * bytes_
    spread = over_time * over_bytes  # of times next to none it is 0, of endless ones infinite
    if not spread or not isfinite(spread):
        return None
    return Trend(along / over_time, along * along / spread)


def largest_step(points: Sequence[Point], bytes_per_second: float) -> float:
    """Return by how much at most one point exceeds the one before, beyond a steady growth."""
    steps = (
        after.bytes
        - before.bytes
        - bytes_per_second * (before.before_seconds - after.before_seconds)
        for before, after in pairwise(points)
    )
    return max(steps, default=0.0)


@dataclass(frozen=True, slots=True)
class Falls:
    """How often usage fell by much, and rose again; from what at most to what at least."""

    count: int
    highest: int
    lowest: int


def falls(values: Iterable[int | None], much: int) -> Falls:
    """Count them in a series; ``much``: what is no noise any more."""
    count = 0
    peak = valley = lowest = highest = None
    for value in values:
        if value is None:
            continue
        peak = value if peak is None else max(peak, value)
        valley = value if valley is None else min(valley, value)
        if peak - value >= much:  # it fell: from here on it may rise
            count += 1
            highest = peak if highest is None else max(highest, peak)
            peak = valley = value
            lowest = value if lowest is None else min(lowest, value)
        elif lowest is not None and value - valley < much:
            lowest = min(lowest, value)
            peak = max(valley, value)
    return Falls(count, highest or 0, lowest or 0)
