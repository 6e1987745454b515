# SPDX-License-Identifier: Apache-2.0
"""Several queues as one, for one thread that sends: of each kind of record there is one of its own.

So no kind takes the place of another. The first is served first: incidents.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .waiting import Item, Queue


class Several:
    """A `Queue`; ``queues``: by the class of what they take, in their order."""

    def __init__(self, queues: Mapping[type, Queue]) -> None:
        self.size = sum(each.size for each in queues.values())
        self._queues = dict(queues)
        self._first = next(iter(self._queues.values()))
        self._taken: deque[Queue] = deque()  # whose the items are that were not settled

    def add(self, incident: Any) -> None:
        self._queues[type(incident)].add(incident)
        self.wake()

    def take(self, most: int) -> list[Item]:
        items: list[Item] = []
        for queue in self._queues.values():
            found = queue.take(most - len(items)) if len(items) < most else []
            self._taken.extend([queue] * len(found))
            items += found
        return items

    def settled(self, numbers: Sequence[int | None]) -> None:
        """In the order in which they were given."""
        by_queue: dict[int, tuple[Callable[[Sequence[int | None]], None], list[int | None]]] = {}
        for number in numbers:
            queue = self._taken.popleft()
            by_queue.setdefault(id(queue), (queue.settled, []))[1].append(number)
        for settle, its in by_queue.values():
            settle(its)

    def wait(self, seconds: float | None) -> None:
        """On the first queue: whatever comes into another one wakes it."""
        self._first.wait(seconds)

    def wake(self) -> None:
        self._first.wake()

    def depth(self) -> int:
        return sum(each.depth() for each in self._queues.values())

    def close(self) -> int:
        return sum(each.close() for each in self._queues.values())
