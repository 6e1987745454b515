# SPDX-License-Identifier: Apache-2.0
"""Draws what memory did before the kill, up to the limit, with a text alternative."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.habit import shape_words
from ...diagnosis.shape import SHORTEST_SECONDS
from ...diagnosis.timeline import Point, timeline, unbroken
from ...incident.before import (
    KERNEL,
    Events,
    EventsOf,
    Pressure,
    Reclaim,
    ReclaimOf,
    Recording,
    Refaults,
    RefaultsOf,
    Stalls,
)
from ...units import duration, plural, rate, size
from .words import unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...incident.before import Before
    from ...incident.model import Incident

WIDTH, HEIGHT = 600, 150
HEADROOM = 1.08  # above the limit, so that its line is seen


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    points: Sequence[Point]
    seconds: float
    recording: Recording
    limit: int | None
    top: int

    def x(self, before_seconds: float) -> float:
        return WIDTH * (1 - min(before_seconds / self.seconds, 1.0))

    def y(self, bytes_: float) -> float:
        return HEIGHT * (1 - bytes_ / (self.top * HEADROOM))


def chart(incident: Incident) -> h.Node:
    """Return nothing where no recorder ran."""
    before = incident.before
    if before is None:
        return None
    domain = before.usage.domain
    usage, limit = None, None
    if domain is not None and incident.domain is not None:
        usage, limit = incident.domain.usage_bytes, incident.domain.limit_bytes
    victim = incident.victims[0]
    return h.section(".card", aria_labelledby="before")[
        h.h2("#before")["Before the kill"],
        h.p[_facts(incident)],
        _pressure(before),
        _figures(domain, usage, limit, "of the cgroup whose limit was reached"),
        _figures(
            before.usage.victim,
            victim.usage_bytes,
            victim.limit_bytes,
            "of the victim's own cgroup",
        ),
        before.source
        and h.p(".remark")[
            "Sampled by the flight recorder",
            " in the kernel. " if before.source == KERNEL else ", by a thread of its own. ",
            _coarser(domain or before.usage.victim),
        ],
    ]


def _facts(incident: Incident) -> Iterator[h.Node]:
    before = incident.before
    if before is None:
        return
    if before.source is None:
        yield "No flight recorder ran."
        return
    if before.usage.domain is None and before.usage.victim is None:
        yield unknown()
        yield ": the cgroup lived for less than a sample takes, or there was no room to record it."
        return
    shape = before.shape
    yield "Shape: "
    yield h.span(".strong")[shape_words(shape)] if shape else "none of the known ones"
    if before.growth_bytes_per_second:
        yield f", {rate(before.growth_bytes_per_second)}"
    if before.at_limit_seconds:
        yield f", at its limit for the last {duration(before.at_limit_seconds)}"
    yield "."


def _pressure(before: Before) -> Iterator[h.Element]:
    """How short of memory each of the two cgroups was, as far as anything is known of that."""
    pressure, events = before.pressure or Pressure(), before.events or Events()
    reclaim, refaults = before.reclaim or Reclaim(), before.refaults or Refaults()
    for whose, stalls, episode, again, counts in (
        (
            "the cgroup whose limit was reached",
            *(pressure.domain, reclaim.domain, refaults.domain, events.domain),
        ),
        (
            "the victim's own cgroup",
            *(pressure.victim, reclaim.victim, refaults.victim, events.victim),
        ),
    ):
        known = [*_shares(stalls), *_episode(episode), *_again(again), *_counts(counts)]
        if known:
            yield h.p(".pressure")[f"In {whose}: ", "; ".join(known), "."]


def _shares(stalls: Stalls | None) -> Iterator[str]:
    if stalls is None:
        return
    for averages, who in (
        (stalls.some, "something waited for memory"),
        (stalls.full, "everything waited"),
    ):
        if averages is None:
            continue
        spans = ((averages.avg10, "10 s"), (averages.avg60, "min"), (averages.avg300, "5 min"))
        shares = [f"{share:.0f} % of the last {span}" for share, span in spans if share is not None]
        if shares:
            yield f"{who} {', '.join(shares)}"


def _episode(episode: ReclaimOf | None) -> Iterator[str]:
    if episode is None or episode.first_before_seconds is None or not episode.passes:
        return
    words = f"the kernel began to reclaim memory {duration(episode.first_before_seconds)} before"
    words += f", {plural(episode.passes, 'time')}"
    if episode.stalled_seconds is not None:
        words += f", which took its tasks {duration(episode.stalled_seconds)}"
    yield words


def _again(refaults: RefaultsOf | None) -> Iterator[str]:
    if refaults is None:
        return
    for bytes_, how in (
        (refaults.file_bytes, "of page cache reclaimed and read again"),
        (refaults.anon_bytes, "reclaimed and swapped in again"),
    ):
        if bytes_:
            yield f"{size(bytes_)} {how} since it was made"


def _counts(events: EventsOf | None) -> Iterator[str]:
    if events is None:
        return
    if events.max is not None:
        yield f"at its limit {plural(events.max, 'time')} since it was made"
    if events.high:
        yield f"throttled over memory.high {plural(events.high, 'time')}"
    if events.major_faults:
        yield f"{plural(events.major_faults, 'major fault')} since it was made"


def _coarser(recording: Recording | None) -> str:
    if recording is None or len(recording.series) < 2:
        return ""
    period = duration(recording.series[0].period_seconds)
    return f"Further back than the finest samples ({period}) each point is the most in its period."


def _figures(
    recording: Recording | None, usage: int | None, limit: int | None, whose: str
) -> Iterator[h.Element]:
    """All that was recorded, and the last part of it by the finest samples."""
    if recording is None or not recording.series or not recording.recorded_seconds:
        return
    finest = recording.series[0]
    points = timeline(recording, usage)
    known = [*(point.bytes for point in points), *_limits(recording)]
    top = max([*known, limit or 0, 1])
    last = finest.newest_before_seconds + finest.period_seconds * max(len(finest.usage_bytes), 1)
    if len(recording.series) > 1:
        life = max(recording.recorded_seconds, SHORTEST_SECONDS)
        title = f"Usage {whose}: all {duration(life)} recorded"
        yield _figure(_Panel(title, points, life, recording, limit, top))
    last = max(last, SHORTEST_SECONDS)
    near = [point for point in points if point.before_seconds <= last]
    title = f"Usage {whose}: the last {duration(last)}"
    yield _figure(_Panel(title, near, last, recording, limit, top))


def _limits(recording: Recording) -> Iterator[int]:
    """Those to draw: one that nothing came near would flatten the rest."""
    most = max((used for each in recording.series for used in each.usage_bytes if used), default=0)
    for limit in recording.limits:
        if limit.limit_bytes is not None and limit.limit_bytes <= 4 * most:
            yield limit.limit_bytes


def _figure(panel: _Panel) -> h.Element:
    return h.figure(".usage")[
        h.figcaption[panel.title],
        h.svg(
            {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none"},
            role="img",
            aria_label=_in_words(panel),
        )[
            h.line(".base", x1="0", x2=str(WIDTH), y1=str(HEIGHT), y2=str(HEIGHT)),
            [_line(panel, part) for part in unbroken(panel.points)],
            _limit(panel),
            _kill(panel),
        ],
        h.div(".axis", aria_hidden="true")[
            h.span[f"{duration(panel.seconds)} before"],
            panel.limit is not None and h.span(".limit")["limit ", size(panel.limit)],
            h.span(".killed")["killed at ", size(panel.points[-1].bytes) if panel.points else "?"],
        ],
    ]


def _line(panel: _Panel, part: Sequence[Point]) -> h.Node:
    first = part[0]  # it stands for all of its period
    at = [(panel.x(first.before_seconds + first.weight), panel.y(first.bytes))]
    at += [(panel.x(point.before_seconds), panel.y(point.bytes)) for point in part]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    left, right = at[0][0], at[-1][0]
    area = f"{left:.1f},{HEIGHT} {line} {right:.1f},{HEIGHT}"
    return [h.polygon(".area", points=area), h.polyline(".used", points=line)]


def _limit(panel: _Panel) -> h.Node:
    """As it was at each time: a step where it was changed."""
    limits = [
        (min(limit.before_seconds, panel.seconds), limit.limit_bytes)
        for limit in panel.recording.limits
    ]
    if panel.limit is not None and (not limits or limits[-1][1] != panel.limit):
        limits.append((0.0 if limits else panel.seconds, panel.limit))
    if not limits:
        return None
    path, drawing = "", False
    for (since, bytes_), (until, _) in pairwise([*limits, (0.0, None)]):
        if bytes_ is None or bytes_ > panel.top:
            drawing = False
            continue
        y = f"{panel.y(bytes_):.1f}"
        path += f"V{y}" if drawing else f"M{panel.x(since):.1f} {y}"
        path += f"H{panel.x(until):.1f}"
        drawing = True
    return h.path(".limit", d=path) if path else None


def _kill(panel: _Panel) -> h.Node:
    if not panel.points:
        return None
    at = f"M{WIDTH} {panel.y(panel.points[-1].bytes):.1f}h0"
    return h.path(".kill", d=at)  # a line of no length with round ends: a dot at any scale


def _in_words(panel: _Panel) -> str:
    if not panel.points:
        return f"{panel.title}: unknown"
    first, last = panel.points[0], panel.points[-1]
    used = [point.bytes for point in panel.points]
    words = (
        f"{panel.title}: {size(first.bytes)} {duration(first.before_seconds)} before the kill, "
        f"between {size(min(used))} and {size(max(used))}, {size(last.bytes)} at the kill"
    )
    if panel.limit is not None:
        words += f"; the limit was {size(panel.limit)}"
    lowered = [limit for limit in panel.recording.limits[1:] if limit.limit_bytes is not None]
    for limit in lowered:
        changed = f"; it was set to {size(limit.limit_bytes or 0)}"
        words += f"{changed} {duration(limit.before_seconds)} before"
    return words
