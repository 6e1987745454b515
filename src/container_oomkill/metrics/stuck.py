# SPDX-License-Identifier: Apache-2.0
"""What is out of memory without a kill, for the metrics: how often it began, and what is so now."""

from __future__ import annotations

import threading

from ..sinks.names import counted_as
from ..stuck.model import CAUSES, Stuck
from .exposition import clean

UNKNOWN = "unknown"
ONGOING_MAX = 500
Ongoing = tuple[str, str, str, str]  # namespace, pod, container, cause


class StuckEpisodes:
    """Fed by the thread that delivers, read by the web server's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = dict.fromkeys((*CAUSES, UNKNOWN), 0)
        self._ongoing: dict[str, Ongoing] = {}  # by the episode's id

    def begin(self, stuck: Stuck) -> None:
        """An episode goes on."""
        cause = stuck.stuck.cause or UNKNOWN
        of = tuple(map(clean, counted_as(stuck.container, stuck.cgroup)))
        with self._lock:
            self._totals[cause] += 1
            if len(self._ongoing) < ONGOING_MAX:
                self._ongoing[stuck.id] = (of[0], of[1], of[2], cause)

    def end(self, stuck: Stuck) -> None:
        """It is over; a sink."""
        with self._lock:
            self._ongoing.pop(stuck.id, None)

    def totals(self) -> dict[str, int]:
        """Return how many began, by cause."""
        with self._lock:
            return dict(self._totals)

    def ongoing(self) -> dict[Ongoing, int]:
        """Return how many go on: two containers may have one name."""
        found: dict[Ongoing, int] = {}
        with self._lock:
            for each in self._ongoing.values():
                found[each] = found.get(each, 0) + 1
        return found
