# SPDX-License-Identifier: Apache-2.0
"""Chooses what stays of the incidents of many containers, so that none pushes the others out.

A container in a loop is killed hundreds of times a day; the one kill of another is worth more to
whoever looks than the hundredth of the first. A user, or whoever may create pods in a namespace,
can have a thousand containers in a loop: they push out only their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..sinks.names import Key

EACH_LEAST = 32  # incidents of one container
EACH_PART = 8  # or this part of all, where that is more

T = TypeVar("T")


def owner(key: Key) -> Key:
    """Return who, by a `container_key`, can have any number; a container of nobody's is alone."""
    return key[:1] if key[0] else key


def whose(key: Callable[[T], Key]) -> Callable[[T], Key]:
    """Return what gives the `owner` of a record; ``key``: gives its container."""
    return lambda record: owner(key(record))


def most_of_each(max_incidents: int) -> int:
    """Return how many of ``max_incidents`` may be one container's."""
    return min(max_incidents, max(EACH_LEAST, max_incidents // EACH_PART))


def choose(
    items: Sequence[T],
    key: Callable[[T], Key],
    *,
    room: int,
    weigh: Callable[[T], int] = lambda _: 1,
) -> list[T]:
    """Return which of ``items``, oldest first, stay in ``room``: the latest of each container.

    No owner has more than another whose items had to go, and of one owner no container.
    """
    later = list(enumerate(reversed(items)))  # with how many are later
    for whose in (key, lambda item: owner(key(item))):
        held: Counter[Key] = Counter()
        by_need: list[tuple[int, int, T]] = []  # what that one has with it, how many are later
        for number, item in later:
            held[whose(item)] += weigh(item)
            by_need.append((held[whose(item)], number, item))
        later = [(number, item) for _, number, item in sorted(by_need, key=lambda each: each[:2])]
    staying: list[tuple[int, T]] = []
    for number, item in later:
        room -= weigh(item)
        if room < 0:
            break
        staying.append((number, item))
    return [item for _, item in sorted(staying, key=lambda each: -each[0])]
