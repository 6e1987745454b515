# SPDX-License-Identifier: Apache-2.0
"""A bounded queue of what comes from many: where there is no room, whoever has most makes way.

A user whose processes are killed all the time must not push out what is told of others.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Of ``size`` items at most, in the order in which they came. Not locked."""

    def __init__(self, size: int, whose: Callable[[T], Hashable]) -> None:
        self._size = size
        self._whose = whose
        self._waiting: deque[tuple[Hashable, T]] = deque()
        self._held: Counter[Hashable] = Counter()

    def put(self, item: T) -> T | None:
        """Return what has to go for it, the latest of whoever has most with it; None: nothing."""
        owner = self._whose(item)
        self._waiting.append((owner, item))
        self._held[owner] += 1
        if len(self._waiting) <= self._size:
            return None
        most = max(self._held.values())
        for at in range(len(self._waiting) - 1, -1, -1):
            if self._held[self._waiting[at][0]] == most:
                break
        owner, gone = self._waiting[at]
        del self._waiting[at]
        self._let_go(owner)
        return gone

    def pop(self) -> T:
        """Return the first one. `IndexError`: there is none."""
        owner, item = self._waiting.popleft()
        self._let_go(owner)
        return item

    def first(self) -> T | None:
        return self._waiting[0][1] if self._waiting else None

    def clear(self) -> None:
        self._waiting.clear()
        self._held.clear()

    def __len__(self) -> int:
        return len(self._waiting)

    def _let_go(self, owner: Hashable) -> None:
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
