# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives the limit that would have been enough, where the recording shows it.

At its limit usage is cut off: how high a spike would have gone, or how large a working set is, a
kill does not tell. What was used under an earlier, higher limit does, if it stayed clear of that
one too. Never of what grows steadily: nothing is enough for a leak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..incident.before import Limit, Recording
from ..incident.model import Incident
from ..incident.shapes import LIMIT_LOWERED, PLATEAU, SAWTOOTH, SPIKE
from ..units import duration, size
from .rule import Rule
from .shape import CLOSE, LONG_PERIODS, NOTABLE, STRAIGHT
from .timeline import Point, timeline, trend

SHAPES = (LIMIT_LOWERED, PLATEAU, SAWTOOTH, SPIKE)


@dataclass(frozen=True, slots=True)
class Enough:
    """The most in use under an earlier limit (None: under none), and for how long it was seen."""

    bytes: int
    earlier_limit: int | None
    seconds: float


def find_enough(incident: Incident) -> Enough | None:
    before, domain = incident.before, incident.domain
    if before is None or before.shape not in SHAPES or domain is None:
        return None
    recording, limit = before.usage.domain, domain.limit_bytes
    if recording is None or not recording.series or limit is None:
        return None
    found = _earlier(recording, limit)
    if found is None:
        return None
    earlier, since, until = found
    points = [  # all of what one stands for has to be of that time
        point
        for point in timeline(recording, domain.usage_bytes)
        if until <= point.before_seconds and point.before_seconds + point.weight <= since
    ]
    seconds = sum(point.weight for point in points)
    if seconds < LONG_PERIODS * recording.series[0].period_seconds:
        return None
    most = max(point.bytes for point in points)
    clear = earlier is None or most < CLOSE * earlier
    if most <= limit or not clear or _grows(points, seconds, most):
        return None
    return Enough(most, earlier, seconds)


def _earlier(recording: Recording, limit: int) -> tuple[int | None, float, float] | None:
    """Return the last limit that was higher, from when until when it was, in seconds before."""
    limits = [*recording.limits, Limit(0.0, limit)]
    for number in range(len(limits) - 2, -1, -1):
        earlier = limits[number].limit_bytes
        if earlier is None or earlier > limit:
            since = limits[number].before_seconds if number else math.inf  # nothing is older
            return earlier, since, limits[number + 1].before_seconds
    return None


def _grows(points: list[Point], seconds: float, most: int) -> bool:
    line = trend(points)
    if line is None or line.bytes_per_second <= 0:
        return False
    return line.fit >= STRAIGHT and line.bytes_per_second * seconds >= NOTABLE * most


def _enough(incident: Incident) -> str | None:
    found = find_enough(incident)
    if found is None:
        return None
    was = "without a limit" if found.earlier_limit is None else f"with {size(found.earlier_limit)}"
    return (
        f"{size(found.bytes)} would have been enough for what it did before: {was} it used no more "
        f"in {duration(found.seconds)}"
    )


ENOUGH = Rule(
    "enough-before",
    _enough,
    "Set the limit above the most that it used with the higher one, which the verdict says, or "
    "have it use less.",
)
