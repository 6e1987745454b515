# SPDX-License-Identifier: Apache-2.0
"""What is out of memory without a kill, for the metrics: how often it began, and what is so now.

Of what was not told for three minutes nobody knows whether it goes on: its record was lost.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from ..sinks.names import counted_as
from ..stuck.model import CAUSES, SILENT_SECONDS, Stuck
from .exposition import clean

UNKNOWN = "unknown"
ONGOING_MAX = 500
Ongoing = tuple[str, str, str, str]  # namespace, pod, container, cause


class StuckEpisodes:
    """Fed by the thread that delivers, read by the web server's."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._totals = dict.fromkeys((*CAUSES, UNKNOWN), 0)
        self._ongoing: dict[str, tuple[float, Ongoing]] = {}  # by id: when it was told, and what

    def begin(self, stuck: Stuck) -> None:
        """Count one; `goes_on` shows it."""
        with self._lock:
            self._totals[stuck.stuck.cause or UNKNOWN] += 1

    def goes_on(self, stuck: Stuck) -> None:
        """Show one: at its begin, and each minute."""
        of = tuple(map(clean, counted_as(stuck.container, stuck.cgroup)))
        with self._lock:
            if stuck.id in self._ongoing or len(self._ongoing) < ONGOING_MAX:
                shown = (of[0], of[1], of[2], stuck.stuck.cause or UNKNOWN)
                self._ongoing[stuck.id] = self._monotonic(), shown

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
        with self._lock:
            oldest = self._monotonic() - SILENT_SECONDS
            self._ongoing = {id_: it for id_, it in self._ongoing.items() if it[0] >= oldest}
            return dict(Counter(shown for _, shown in self._ongoing.values()))
