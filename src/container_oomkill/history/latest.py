# SPDX-License-Identifier: Apache-2.0
"""Keeps the latest records of one kind in memory, newest first, for the web pages and the API.

Bounded as incidents are: where there are too many, the oldest goes of the container that has most,
of the owner (fair.py) that has most.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ..sinks.names import Key
from .fair import most_of_each, owner


class Record(Protocol):
    """Of any kind."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Record)


class Latest(Generic[T]):
    """Call it with each record; `newest_first` from any thread."""

    def __init__(self, key: Callable[[T], Key], most: int) -> None:
        """``key``: whose it is, as `sinks.names.container_key`."""
        self._key = key
        self._max = most
        self._max_each = most_of_each(most)
        self._records: dict[str, tuple[Key, T]] = {}  # by id, oldest first
        self._held: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def __call__(self, record: T) -> None:
        with self._lock:
            self._add(record)

    def _add(self, record: T) -> None:
        if record.id in self._records:
            return
        key = self._key(record)
        self._records[record.id] = key, record
        self._held[key] += 1
        if self._held[key] > self._max_each:
            self._drop(key)
        elif len(self._records) > self._max:
            self._drop(self._busiest())

    def _busiest(self) -> Key:
        owned: Counter[Key] = Counter()
        for key, held in self._held.items():
            owned[owner(key)] += held
        return max(self._held, key=lambda key: (owned[owner(key)], self._held[key]))

    def _drop(self, whose: Key) -> None:
        """Drop the oldest one of a container."""
        found = next(id_ for id_, (key, _) in self._records.items() if key == whose)
        del self._records[found]
        self._held[whose] -= 1
        if not self._held[whose]:
            del self._held[whose]

    def newest_first(self) -> list[T]:
        """Return all of them as they are now."""
        with self._lock:
            return self._newest_first()

    def _newest_first(self) -> list[T]:
        return [record for _, record in reversed(self._records.values())]
