# SPDX-License-Identifier: Apache-2.0
"""Chooses what stays of the incidents of many containers, so that none pushes the others out.

A container in a loop is killed hundreds of times a day; the one kill of another is worth more to
whoever looks than the hundredth of the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from ..incident.model import Incident
from ..sinks.names import counted_as

EACH_LEAST = 32  # incidents of one container
EACH_PART = 8  # or this part of all, where that is more

Key = tuple[str, str, str]
T = TypeVar("T")


def container_key(incident: Incident) -> Key:
    """Return whose incident it is: the same after a restart, as in the metrics."""
    cgroup = incident.victims[0].cgroup if incident.victims else None
    return counted_as(incident.container, cgroup)


def most_of_each(max_incidents: int) -> int:
    """Return how many of ``max_incidents`` may be one container's."""
    return min(max_incidents, max(EACH_LEAST, max_incidents // EACH_PART))


def choose(
    items: Sequence[T],
    owner: Callable[[T], Hashable],
    *,
    room: int,
    weigh: Callable[[T], int] = lambda _: 1,
) -> list[T]:
    """Return which of ``items``, oldest first, stay in ``room``: the latest of every owner.

    Nobody has more than another whose items had to go.
    """
    held: Counter[Hashable] = Counter()
    by_need: list[tuple[int, int]] = []  # what its owner has with it, how many are later
    for later, item in enumerate(reversed(items)):
        held[owner(item)] += weigh(item)
        by_need.append((held[owner(item)], later))
    staying: list[int] = []
    for _, later in sorted(by_need):
        room -= weigh(items[-1 - later])
        if room < 0:
            break
        staying.append(later)
    return [items[-1 - later] for later in sorted(staying, reverse=True)]
