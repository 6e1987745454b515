# SPDX-License-Identifier: Apache-2.0
"""Keeps the latest kills by others in memory, newest first, for the web pages and the API.

Bounded as incidents are: where there are too many, the oldest goes of the container that has most,
of the owner (fair.py) that has most.
"""

from __future__ import annotations

import threading
from collections import Counter

from ..killers.model import Kill
from ..sinks.kill_names import kill_key
from ..sinks.names import Key
from .fair import most_of_each, owner


class KillHistory:
    """Call it with each kill; `newest_first` from any thread."""

    def __init__(self, max_kills: int = 256) -> None:
        self._max = max_kills
        self._max_each = most_of_each(max_kills)
        self._kills: dict[str, tuple[Key, Kill]] = {}  # by id, oldest first
        self._held: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def __call__(self, kill: Kill) -> None:
        key = kill_key(kill)
        with self._lock:
            if kill.id in self._kills:
                return
            self._kills[kill.id] = key, kill
            self._held[key] += 1
            if self._held[key] > self._max_each:
                self._drop(key)
            elif len(self._kills) > self._max:
                self._drop(self._busiest())

    def _busiest(self) -> Key:
        owned: Counter[Key] = Counter()
        for key, held in self._held.items():
            owned[owner(key)] += held
        return max(self._held, key=lambda key: (owned[owner(key)], self._held[key]))

    def _drop(self, whose: Key) -> None:
        """Drop the oldest one of a container."""
        found = next(id_ for id_, (key, _) in self._kills.items() if key == whose)
        del self._kills[found]
        self._held[whose] -= 1
        if not self._held[whose]:
            del self._held[whose]

    def newest_first(self) -> list[Kill]:
        """Return all of them as they are now."""
        with self._lock:
            return [kill for _, kill in reversed(self._kills.values())]
