# SPDX-License-Identifier: Apache-2.0
"""What waits to be sent, in memory: for an exporter without ``--history``.

It is bounded. What must go is chosen as in the history (history/fair.py): a container in a loop
pushes out its own kills, not the one of its neighbour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..history.fair import choose
from ..sinks.names import Key, container_key

KEPT_PART = 0.75  # of the queue, when it is full: to choose for each one that comes takes too long


@dataclass(frozen=True, slots=True)
class Item:
    """``number``: its place in the history; None: it is in memory only."""

    incident: Any  # an `Incident`, or what another queue of `Several` has
    number: int | None = None


class Queue(Protocol):
    """Where a sender's thread gets its work."""

    size: int

    def add(self, incident: Any) -> None:
        """Take an incident, on the record's path: nothing here waits."""

    def take(self, most: int) -> list[Item]:
        """Return the next ones, oldest first; at most that many. They are not given twice."""

    def settled(self, numbers: Sequence[int | None]) -> None:
        """The items of these numbers were sent, or dropped, and no earlier one is left."""

    def wait(self, seconds: float | None) -> None:
        """Sleep until there is something to take, `wake` is called, or the time is over."""

    def wake(self) -> None:
        """End `wait`, this one or the next."""

    def depth(self) -> int:
        """Return how many were not settled."""

    def close(self) -> int:
        """Return how many are lost by ending now."""


class MemoryQueue:
    """``on_dropped`` gets the number of those that had to go."""

    def __init__(
        self,
        size: int,
        on_dropped: Callable[[int], None] = lambda _: None,
        *,
        key: Callable[[Any], Key] = container_key,
    ) -> None:
        """``key``: whose a record is."""
        self.size = size
        self._key = key
        self._on_dropped = on_dropped
        self._changed = threading.Condition()
        self._waiting: list[Any] = []
        self._taken = 0
        self._awake = False

    def add(self, incident: Any) -> None:
        dropped = 0
        with self._changed:
            if len(self._waiting) >= self.size:
                before = len(self._waiting)
                room = int(self.size * KEPT_PART)
                self._waiting = choose(self._waiting, self._key, room=room)
                dropped = before - len(self._waiting)
            self._waiting.append(incident)
            self._changed.notify_all()
        if dropped:
            self._on_dropped(dropped)

    def take(self, most: int) -> list[Item]:
        with self._changed:
            taken, self._waiting = self._waiting[:most], self._waiting[most:]
            self._taken += len(taken)
            return [Item(incident) for incident in taken]

    def settled(self, numbers: Sequence[int | None]) -> None:
        with self._changed:
            self._taken -= len(numbers)

    def wait(self, seconds: float | None) -> None:
        with self._changed:
            if not self._waiting and not self._awake:
                self._changed.wait(seconds)
            self._awake = False

    def wake(self) -> None:
        with self._changed:
            self._awake = True
            self._changed.notify_all()

    def depth(self) -> int:
        with self._changed:
            return len(self._waiting) + self._taken

    def close(self) -> int:
        return self.depth()
