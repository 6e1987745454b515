# SPDX-License-Identifier: Apache-2.0
"""The triggers' own stacks of several incidents, the most frequent first, and their frames as text.

Names of functions need the programs: `container-oomkill symbolize` has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..incident.model import Incident
from ..incident.stack import Frame

SHORT_ID = 12
MEANING = (
    "This is where memory ran out, not where it went: whoever asks last need not be who holds most."
)


@dataclass(frozen=True, slots=True)
class CountedStack:
    """One stack, innermost frame first, and how many incidents had it."""

    frames: tuple[Frame, ...]
    times: int
    command: str | None  # of the latest trigger that had it
    by: str | None  # what that one was doing, as in the record


def user_stack(incident: Incident) -> tuple[Frame, ...] | None:
    """None: not asked for, or there is none."""
    stack = incident.trigger.stack
    return None if stack is None else stack.user or None


def top_stacks(newest_first: Iterable[Incident], most: int) -> tuple[list[CountedStack], int]:
    """Return up to so many different stacks, and how many incidents had one at all."""
    times: Counter[tuple[Frame, ...]] = Counter()
    latest: dict[tuple[Frame, ...], Incident] = {}
    for incident in newest_first:
        if frames := user_stack(incident):
            times[frames] += 1
            latest.setdefault(frames, incident)
    found = [
        CountedStack(frames, number, latest[frames].trigger.command, latest[frames].trigger.by)
        for frames, number in times.most_common(most)
    ]
    return found, times.total()


def place(frame: Frame) -> str | None:
    """Give a frame's file, by its build id, and the offset into it; None: unknown."""
    if frame.build_id is None or frame.offset is None:
        return None
    return f"{frame.build_id[:SHORT_ID]} + {frame.offset:#x}"
