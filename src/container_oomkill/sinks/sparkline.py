# SPDX-License-Identifier: Apache-2.0
"""Draws what memory did before the kill as a line of characters, with its scale in words."""

from __future__ import annotations

from itertools import pairwise
from typing import TextIO

from ..diagnosis.timeline import Point, recorded, timeline, unbroken
from ..incident.before import Recording
from ..incident.model import Incident
from ..units import duration, size
from .printable import can_show

LEVELS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-=+*#@"  # where a stream cannot show those
NOTHING, PLAIN_NOTHING = "·", "?"  # no sample


def shows_levels(stream: TextIO) -> bool:
    """Tell whether a stream's encoding has these characters."""
    return can_show(stream, LEVELS + NOTHING)


def sparklines(incident: Incident, columns: int, *, blocks: bool = True) -> list[str]:
    """Return a line for all that was recorded, and one for the last part of it by finest samples.

    Up to the limit, or the most there was. Nothing where no recorder ran, or one line where the
    finest samples are all there is.
    """
    found = recorded(incident)
    if found is None:
        return []
    recording = found.recording
    points = timeline(recording, found.usage_bytes)
    if not points:
        return []
    top = max([found.limit_bytes or 0, *(point.bytes for point in points)])
    spans = [_last_seconds(recording)]
    if len(recording.series) > 1:
        spans.insert(0, recording.recorded_seconds or 0.0)
    return [_line(points, span, top, columns, blocks=blocks) for span in spans]


def _last_seconds(recording: Recording) -> float:
    finest = recording.series[0]
    kept = finest.newest_before_seconds + finest.period_seconds * len(finest.usage_bytes)
    return min(kept, recording.recorded_seconds or kept)


def _line(points: list[Point], seconds: float, top: int, columns: int, *, blocks: bool) -> str:
    glyphs, nothing = (LEVELS, NOTHING) if blocks else (PLAIN, PLAIN_NOTHING)
    words = f"  {duration(seconds)}, up to {size(top)}"
    cells = max(8, columns - len(words))
    if seconds <= 0 or top <= 0:
        return words.strip()
    most: list[int | None] = [None] * cells
    for point in points:
        first = _cell(point.before_seconds + point.weight, seconds, cells)
        last = _cell(point.before_seconds, seconds, cells)
        if point.before_seconds > seconds:
            continue
        for cell in range(max(first + (first < last), 0), last + 1):
            most[cell] = max(most[cell] or 0, point.bytes)
    for part in unbroken(points):
        _join(part, most, seconds)
    drawn = (
        nothing if used is None else glyphs[min(used * len(glyphs) // top, len(glyphs) - 1)]
        for used in most
    )
    return "".join(drawn) + words


def _join(part: list[Point], most: list[int | None], seconds: float) -> None:
    """Between two points of one part the line is straight, as the page draws it."""
    for older, newer in pairwise(part):
        first = _cell(older.before_seconds, seconds, len(most))
        last = _cell(newer.before_seconds, seconds, len(most))
        for cell in range(first + 1, last):
            if most[cell] is None:
                share = (cell - first) / (last - first)
                most[cell] = round(older.bytes + share * (newer.bytes - older.bytes))


def _cell(before_seconds: float, seconds: float, cells: int) -> int:
    share = 1 - min(before_seconds / seconds, 1.0)
    return min(int(share * cells), cells - 1)
