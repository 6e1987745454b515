# SPDX-License-Identifier: Apache-2.0
"""Keeps the latest incidents in memory, newest first, for the web pages and the API.

Bounded by incidents and by victims, as one group kill may have thousands.
"""

from __future__ import annotations

import threading
from collections import deque

from ..incident.model import Incident
from ..sinks.query import Query

MAX_VICTIMS_EACH = 8  # as many per incident, on average


def _key(incident: Incident) -> tuple[int, int]:
    """What its id is made from."""
    return incident.boot_ns, incident.sequence


class History:
    """Call it with each incident; `find` from any thread."""

    def __init__(self, max_incidents: int = 256) -> None:
        self._max_incidents = max_incidents
        self._max_victims = max_incidents * MAX_VICTIMS_EACH
        self._victims = 0
        self._incidents: deque[Incident] = deque()
        self._keys: set[tuple[int, int]] = set()
        self._dropped = False
        self._lock = threading.Lock()

    def __call__(self, incident: Incident) -> None:
        with self._lock:
            if _key(incident) in self._keys:
                return  # in a history file as well as in the pinned ring
            self._keys.add(_key(incident))
            self._incidents.append(incident)
            self._victims += len(incident.victims)
            while len(self._incidents) > self._max_incidents or (
                self._victims > self._max_victims and len(self._incidents) > 1
            ):
                self._dropped = True
                dropped = self._incidents.popleft()
                self._keys.discard(_key(dropped))
                self._victims -= len(dropped.victims)

    def newest_first(self) -> list[Incident]:
        """Return all of them as they are now."""
        with self._lock:
            return list(reversed(self._incidents))

    def begin_late(self) -> None:
        """Count what is kept so far as less than there was."""
        with self._lock:
            self._dropped = bool(self._incidents)

    def kept_since(self) -> float | None:
        """Time of the oldest incident kept, if older ones were dropped; None if none was."""
        with self._lock:
            return self._incidents[0].time if self._dropped else None

    def newest(self) -> Incident | None:
        with self._lock:
            return self._incidents[-1] if self._incidents else None

    def find(self, query: Query) -> list[Incident]:
        """Return what matches, newest first."""
        return query.select(self.newest_first())
