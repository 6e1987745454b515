# SPDX-License-Identifier: Apache-2.0
"""Keeps the latest incidents in memory, newest first, for the web pages and the API.

Bounded by incidents of each container, by incidents in all, and by victims, as one group kill may
have thousands. Where there are too many, the oldest goes of the container that has most, of the
owner (fair.py) that has most.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..sinks.names import Key, container_key
from .fair import most_of_each, owner

if TYPE_CHECKING:
    from ..incident.model import Incident
    from ..sinks.query import Query

MAX_VICTIMS_EACH = 8  # as many per incident, on average


@dataclass(slots=True)
class _Kept:
    """One container's, oldest first, each with its number among all."""

    incidents: deque[tuple[int, Incident]] = field(default_factory=deque)
    victims: int = 0
    dropped_at: float | None = None  # time of the latest of its incidents that had to go


def _id(incident: Incident) -> tuple[int, int]:
    """What its id is made from."""
    return incident.boot_ns, incident.sequence


class History:
    """Call it with each incident; `find` from any thread."""

    def __init__(self, max_incidents: int = 256) -> None:
        self._max_incidents = max_incidents
        self._max_each = most_of_each(max_incidents)
        self._max_victims = max_incidents * MAX_VICTIMS_EACH
        self._incidents: dict[tuple[int, int], Incident] = {}  # oldest first
        self._containers: dict[Key, _Kept] = {}
        self._number = 0
        self._victims = 0
        self._dropped_at: float | None = None
        self._lock = threading.Lock()

    def __call__(self, incident: Incident) -> None:
        with self._lock:
            if _id(incident) in self._incidents:
                return  # in a history file as well as in the pinned ring
            self._number += 1
            self._incidents[_id(incident)] = incident
            self._victims += len(incident.victims)
            kept = self._containers.setdefault(container_key(incident), _Kept())
            kept.incidents.append((self._number, incident))
            kept.victims += len(incident.victims)
            self._make_room(incident, kept)

    def _make_room(self, latest: Incident, its: _Kept) -> None:
        """Drop what is too much; never the latest, however many victims it has."""
        if len(its.incidents) > self._max_each:
            self._drop(its)
        if len(self._incidents) > self._max_incidents:
            self._drop(self._most(lambda kept: len(kept.incidents)))
        while self._victims - len(latest.victims) > self._max_victims:
            self._drop(
                self._most(lambda kept: kept.victims - (kept is its and len(latest.victims)))
            )

    def _most(self, count: Callable[[_Kept], int]) -> _Kept:
        """Return the container that has most, of the owner that has; of equals the older one."""
        owned: Counter[Key] = Counter()
        for key, kept in self._containers.items():
            owned[owner(key)] += count(kept)
        return max(
            self._containers.items(),
            key=lambda item: (owned[owner(item[0])], count(item[1]), -item[1].incidents[0][0]),
        )[1]

    def _drop(self, kept: _Kept) -> None:
        """Drop a container's oldest incident."""
        _, dropped = kept.incidents.popleft()
        kept.victims -= len(dropped.victims)
        self._victims -= len(dropped.victims)
        del self._incidents[_id(dropped)]
        kept.dropped_at = dropped.time
        self._dropped_at = max(self._dropped_at or dropped.time, dropped.time)
        if not kept.incidents:
            del self._containers[container_key(dropped)]

    def newest_first(self) -> list[Incident]:
        """Return all of them as they are now."""
        with self._lock:
            return list(reversed(self._incidents.values()))

    def begin_late(self) -> None:
        """Count what is kept so far as less than there was, of the containers that have most."""
        with self._lock:
            most = max((len(kept.incidents) for kept in self._containers.values()), default=0)
            for kept in self._containers.values():
                if len(kept.incidents) >= most - 1:  # one more, and the oldest of it had to go
                    oldest = kept.incidents[0][1].time
                    kept.dropped_at = oldest
                    self._dropped_at = max(self._dropped_at or oldest, oldest)

    def kept_since(self) -> float | None:
        """Time of the oldest incident from which on all are here; None if none was dropped."""
        with self._lock:
            dropped_at = self._dropped_at
            if dropped_at is None:
                return None
            times = (each.time for each in self._incidents.values() if each.time >= dropped_at)
            return min(times, default=dropped_at)

    def dropped(self) -> Mapping[Key, float]:
        """Time of the latest incident that was dropped, of the containers that have others here."""
        with self._lock:
            return {
                key: kept.dropped_at
                for key, kept in self._containers.items()
                if kept.dropped_at is not None
            }

    def newest(self) -> Incident | None:
        with self._lock:
            return next(reversed(self._incidents.values()), None)

    def find(self, query: Query) -> list[Incident]:
        """Return what matches, newest first."""
        return query.select(self.newest_first())
