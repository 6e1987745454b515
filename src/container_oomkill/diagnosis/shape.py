# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives the shape of its usage before the kill, with the evidence in numbers.

    limit_lowered   the limit came down to what was in use
    plateau         it was at its limit, or close to it, for long
    leak            it grew steadily, over all the time that is known
    sawtooth        it rose and fell again and again
    start_up        it grew from its start on, and never settled
    spike           it had settled, then grew within seconds
    ramp            it had settled, then grew within minutes or hours

The first that applies. Times are counted in the recorder's periods, a second by default. None where
the evidence is for none of them: too short a time, or too little growth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..incident.before import Limit, Recording
from ..incident.full import full_room
from ..incident.model import Incident
from ..incident.shapes import LEAK, LIMIT_LOWERED, PLATEAU, RAMP, SAWTOOTH, SPIKE, START_UP
from .timeline import (
    GAP_PERIODS,
    SAME_SECONDS,
    Falls,
    Point,
    falls,
    largest_step,
    median,
    recorded,
    timeline,
    trend,
)

NOTABLE = 0.2  # of what was in use at the kill: a growth, or a fall, of less tells nothing
# Of the lowered limit, what was in use by then: with less it grew into the limit by itself.
HELD_ALREADY = 0.8
LONG_PERIODS = 60  # a leak shows after a minute; what lives for less is starting up
PLATEAU_LEAST, PLATEAU_MOST, PLATEAU_SHARE = 10, 300, 0.25  # periods, and of the time recorded
CLOSE = 0.9  # of the limit
CLOSE_SHARE = 0.9  # of the time: it dips below that when much is given back at once
RECLAIM_SHARE = 0.5  # of the time in which the kernel reclaims
EXPLAINED = 2.0  # times what it would take, as nothing grows that evenly
NEAR = 8.0  # times as long: in which a growth that began late is seen
STRAIGHT = 0.85  # fit of a leak to a line
STEP = 0.4  # of its growth: what comes in one step is no leak
NOISE = 0.1  # of what was in use at the kill: what has settled may still grow by that
SETTLED_SHARE = 0.5  # of its life
START_SHARE = 0.05  # of its life, which is its start
MOST = 0.8  # of the growth, by which its time is measured
SHARE = 0.33  # of the time recorded: growth that took more was there all along
SPIKE_PERIODS = 10
EMPTY = 0.02  # of what was in use at the kill
FEW_SAMPLES = 5
SHORTEST_SECONDS = 0.001  # times are rounded to this
FALLS = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rules of the verdict put into words; what does not belong to a shape is None."""

    shape: str
    recorded_seconds: float
    usage_bytes: int
    growth_bytes_per_second: float | None = None
    from_bytes: int | None = None  # when the growth began; or the least, or what was held then
    seconds: float | None = None  # how long the growth took; or how long ago, or at the limit
    most_bytes: int | None = None  # the most seen before the growth; or the most of all
    most_seconds: float | None = None  # in how much time before it; or how long ago at most
    limits: tuple[int | None, int | None] | None = None  # before, after
    falls: int | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the shape of a domain's usage is found in."""

    recording: Recording
    points: list[Point]
    usage: int
    limit: int | None
    life: float
    period: float
    reclaiming: float  # for so long, with no long pause, up to the kill


def find_shape(incident: Incident) -> Evidence | None:
    """Return the shape of the domain's usage; where there is none, of the victim's cgroup's."""
    seen = _seen(incident)
    if seen is None:
        return None
    tests: tuple[Callable[[_Seen], Evidence | None], ...] = (
        _lowered,
        _plateau,
        _leak,
        _close,
        _sawtooth,
        _growth,
    )
    return next((found for test in tests if (found := test(seen)) is not None), None)


def _seen(incident: Incident) -> _Seen | None:
    found = recorded(incident)
    if found is None or (found.recording.recorded_seconds or 0) < SHORTEST_SECONDS:
        return None
    recording = found.recording
    points = timeline(recording, found.usage_bytes)
    period = recording.series[0].period_seconds
    if len(points) < 2 or not points[-1].bytes or period <= 0:
        return None
    life = recording.recorded_seconds or 0.0
    if recording.whole_life:  # until its first process starts, a cgroup is empty
        started = next(n for n, each in enumerate(points) if each.bytes > EMPTY * points[-1].bytes)
        if started:
            points = points[started:]
            life = min(life, points[0].before_seconds + period)
    reclaiming = min(found.reclaiming_seconds, life)
    return _Seen(recording, points, points[-1].bytes, found.limit_bytes, life, period, reclaiming)


def _lowered(seen: _Seen) -> Evidence | None:
    limits = list(seen.recording.limits)
    if limits and limits[-1].limit_bytes != seen.limit and seen.limit is not None:
        limits.append(Limit(0.0, seen.limit))  # since the last sample
    if len(limits) < 2 or limits[-1].limit_bytes is None:
        return None
    earlier, now = limits[-2].limit_bytes, limits[-1]
    limit: int = now.limit_bytes  # type: ignore[assignment]  # looked at above
    if earlier is not None and earlier <= limit:
        return None
    held = _held_before(seen, now.before_seconds)
    if held is None or held < HELD_ALREADY * limit:
        return None
    newest = seen.recording.series[0].newest_before_seconds
    return Evidence(
        LIMIT_LOWERED,
        seen.life,
        seen.usage,
        from_bytes=held,
        seconds=now.before_seconds or None,
        most_seconds=None if now.before_seconds else max(newest, SHORTEST_SECONDS),
        most_bytes=max(point.bytes for point in seen.points),
        limits=(earlier, limit),
    )


def _held_before(seen: _Seen, seconds: float) -> int | None:
    """What was in use so long ago: by the last sample before, as that tick's may be of after it.

    Where the finest series no longer has that time and the next one began with it, that sample is
    of a cgroup that was still starting, or missing. Then the first one after counts too, if it is
    of the same minute.
    """
    known = sum(each.before_seconds > seconds + SAME_SECONDS for each in seen.points)
    held = seen.points[known - 1].bytes if known else None
    since = seen.points[known - 1].before_seconds if known else seen.life
    if known == len(seen.points):
        return held
    after, gap = seen.points[known], GAP_PERIODS * seen.period
    is_missing = known < 2 and since - after.before_seconds > gap
    had_started = seen.life - seconds > gap
    if is_missing and had_started and seconds - after.before_seconds < LONG_PERIODS * seen.period:
        return max(held or 0, after.bytes)
    return held


def _plateau(seen: _Seen) -> Evidence | None:
    least = min(max(PLATEAU_LEAST * seen.period, PLATEAU_SHARE * seen.life),
                PLATEAU_MOST * seen.period)  # fmt: skip
    at_limit = seen.recording.at_limit_seconds
    if at_limit is not None and at_limit >= least and not _grew_there(seen, at_limit):
        return Evidence(PLATEAU, seen.life, seen.usage, seconds=at_limit)
    lowest = min(point.bytes for point in seen.points)
    if seen.limit and lowest >= CLOSE * seen.limit and seen.life >= LONG_PERIODS * seen.period:
        highest = max(point.bytes for point in seen.points)
        return Evidence(PLATEAU, seen.life, seen.usage, from_bytes=lowest, most_bytes=highest)
    return None


def _grew_there(seen: _Seen, at_limit: float) -> bool:
    """Whether that is how long a steady growth takes for its last part: a slow leak's, hours.

    What grows in steps takes as long for its next one.
    """
    earlier = [point for point in seen.points if point.before_seconds >= at_limit]
    near = [point for point in earlier if point.before_seconds <= NEAR * at_limit]
    for points in (earlier, near):
        line = trend(points)
        if line is None or line.fit < STRAIGHT or line.bytes_per_second <= 0:
            continue
        last = full_room(seen.limit or 0) + largest_step(points, line.bytes_per_second)
        if at_limit <= EXPLAINED * last / line.bytes_per_second:
            return True
    return False


def _leak(seen: _Seen) -> Evidence | None:
    line = trend(seen.points)
    if line is None or seen.life < LONG_PERIODS * seen.period:
        return None
    start = START_SHARE * seen.life if seen.recording.whole_life else 0.0
    # What it loads as it starts is a step of its own; the point where that ends is kept.
    points = [each for each in seen.points if each.before_seconds <= seen.life - start]
    grown = points[-1].bytes - points[0].bytes if points else 0
    steady = line.fit >= STRAIGHT and line.bytes_per_second > 0
    if not steady or line.bytes_per_second * seen.life < NOTABLE * seen.usage:
        return None
    if largest_step(points, line.bytes_per_second) > STEP * max(grown, 1):
        return None
    return Evidence(
        LEAK,
        seen.life,
        seen.usage,
        growth_bytes_per_second=line.bytes_per_second,
        from_bytes=seen.points[0].bytes,
    )


def _close(seen: _Seen) -> Evidence | None:
    """A plateau that is not at the limit all the time: what reads takes, and gives back, MiB.

    While the kernel reclaims, it may give back half of all there is at once (Linux 7.3).
    """
    if not seen.limit:
        return None
    held: list[Point] = []
    for point in reversed(seen.points):
        if point.bytes < (1 - NOTABLE) * seen.limit:
            break
        held.append(point)
    reclaimed = [each for each in seen.points if each.before_seconds <= seen.reclaiming]
    least = max(PLATEAU_LEAST * seen.period, PLATEAU_SHARE * seen.life)
    for points, share in ((held, CLOSE_SHARE), (reclaimed, RECLAIM_SHARE)):
        seconds = sum(point.weight for point in points)
        close = sum(point.weight for point in points if point.bytes >= CLOSE * seen.limit)
        if close >= share * seconds and seconds >= least:
            return Evidence(
                PLATEAU,
                seen.life,
                seen.usage,
                from_bytes=min(point.bytes for point in points),
                most_bytes=max(point.bytes for point in points),
                seconds=seconds,
            )
    return None


def _sawtooth(seen: _Seen) -> Evidence | None:
    much = round(NOTABLE * seen.usage)
    tried = [
        (series.usage_bytes, min(seen.life, len(series.usage_bytes) * series.period_seconds))
        for series in reversed(seen.recording.series)  # the longest time first
    ]
    # A coarse value is the most of its period, so what a finer one has below it is a fall as well.
    whole = tuple(point.bytes for point in seen.points[:-1])
    for values, seconds in (*tried, (whole, seen.life)):
        found: Falls = falls(values, much)
        if found.count >= FALLS:
            return Evidence(
                SAWTOOTH,
                seen.life,
                seen.usage,
                from_bytes=found.lowest,
                most_bytes=found.highest,
                seconds=seconds,
                falls=found.count,
            )
    return None


def _growth(seen: _Seen) -> Evidence | None:
    """A growth that began late: after what had been in use for half of the time."""
    young = seen.recording.whole_life and seen.life < LONG_PERIODS * seen.period
    if young and (seen.life < FEW_SAMPLES * seen.period or not _had_settled(seen)):
        return _start_up(seen)
    settled = median(seen.points[:-1])
    rise = seen.usage - settled
    if rise < NOTABLE * seen.usage:
        return None
    low = seen.usage - MOST * rise
    at = next((n for n in reversed(range(len(seen.points))) if seen.points[n].bytes <= low), None)
    if at is None or seen.points[at].before_seconds < SHORTEST_SECONDS:
        return None
    began = seen.points[at]
    took = began.before_seconds
    if _passed(began, seen.points[at + 1], low) > SHARE * seen.life:
        return _start_up(seen) if young else None
    earlier = [point for point in seen.points if point.before_seconds >= took]
    return Evidence(
        SPIKE if took <= SPIKE_PERIODS * seen.period else RAMP,
        seen.life,
        seen.usage,
        growth_bytes_per_second=(seen.usage - began.bytes) / took,
        from_bytes=began.bytes,
        seconds=took,
        most_bytes=max(point.bytes for point in earlier),
        most_seconds=seen.life - took,
    )


def _had_settled(seen: _Seen) -> bool:
    """Whether the most of its life so far had hardly changed for half of that life."""
    most, since = 0, list[tuple[float, int]]()
    for point in seen.points:
        most = max(most, point.bytes)
        since.append((point.before_seconds, most))
        while most - since[0][1] > NOISE * seen.usage:
            del since[0]
        if since[0][0] - point.before_seconds >= SETTLED_SHARE * seen.life:
            return True
    return False


def _passed(before: Point, after: Point, low: float) -> float:
    """Seconds before the kill: where a line from one point to the next passes what is ``low``.

    From where a coarser series ends to where a finer one begins may be most of a coarse period.
    """
    share = (low - before.bytes) / (after.bytes - before.bytes)
    return before.before_seconds - share * (before.before_seconds - after.before_seconds)


def _start_up(seen: _Seen) -> Evidence:
    return Evidence(
        START_UP,
        seen.life,
        seen.usage,
        growth_bytes_per_second=seen.usage / seen.life,
        seconds=seen.life,
    )
