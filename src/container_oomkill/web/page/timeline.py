# SPDX-License-Identifier: Apache-2.0
"""Draws the incidents of the last day as a picture, with a text alternative."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import htpy as h

from ...units import DAY_SECONDS, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...incident.model import Incident

SLOT_SECONDS = 1800
SLOTS = DAY_SECONDS // SLOT_SECONDS
STEP, GAP = 20, 4  # of a slot, in the picture's units
WIDTH, HEIGHT = SLOTS * STEP, 56
LEAST = 8  # height of one incident beside a thousand
AXIS_HOURS = (24, 18, 12, 6)


def timeline(
    incidents: Iterable[Incident], *, now: float, watched_since: float, kept_since: float | None
) -> h.Element:
    """Draw the last 24 hours up to ``now``.

    What was before ``watched_since`` nobody saw; of what was before ``kept_since`` some is gone.
    """
    first = int(now // SLOT_SECONDS) - SLOTS + 1
    counts = Counter(int(incident.time // SLOT_SECONDS) - first for incident in incidents)
    counts = Counter({slot: counts[slot] for slot in range(SLOTS) if counts[slot]})
    why = "before this exporter started"
    if kept_since is not None and kept_since > watched_since:
        watched_since, why = kept_since, "no longer kept"
    unseen = min(max(watched_since / SLOT_SECONDS - first, 0.0), SLOTS) * STEP
    return h.figure(".timeline")[
        h.figcaption(".unseen")["Incidents per half hour in the last 24 hours"],
        h.svg(
            {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none"},
            role="img",
            aria_label=_in_words(counts, first, unseen, why),
        )[
            unseen > 0
            and h.rect(".unwatched", width=f"{unseen:.0f}", height=str(HEIGHT))[h.title[why]],
            h.line(".base", x1="0", x2=str(WIDTH), y1=str(HEIGHT), y2=str(HEIGHT)),
            _columns(counts, first),
        ],
        h.div(".axis", aria_hidden="true")[
            (h.span[f"{hours} h ago"] for hours in AXIS_HOURS), h.span["now"]
        ],
    ]


def _columns(counts: Counter[int], first: int) -> Iterator[h.Node]:
    most = max(counts.values(), default=1)
    for slot, count in sorted(counts.items()):
        height = LEAST + (HEIGHT - LEAST) * count // most
        yield h.rect(
            x=str(slot * STEP + GAP // 2),
            y=str(HEIGHT - height),
            width=str(STEP - GAP),
            height=str(height),
        )[h.title[f"{_clock(first + slot)} UTC: {plural(count, 'incident')}"]]


def _in_words(counts: Counter[int], first: int, unseen: float, why: str) -> str:
    listed = ", ".join(f"{_clock(first + slot)} {count}" for slot, count in sorted(counts.items()))
    words = f"Incidents per half hour, UTC: {listed}" if listed else "No incidents"
    return f"{words}. Up to {_clock(first + unseen / STEP)}: {why}" if unseen else words


def _clock(slot: float) -> str:
    return datetime.fromtimestamp(slot * SLOT_SECONDS, UTC).strftime("%H:%M")
