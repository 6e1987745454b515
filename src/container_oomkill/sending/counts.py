# SPDX-License-Identifier: Apache-2.0
"""What became of the incidents that were to be sent, for the metrics; from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# They show from 0: one that began with a loss would have no increase().
DROPPED = ("closed", "partial_success", "queue_full", "refused", "too_large")


@dataclass(frozen=True, slots=True)
class Sent:
    """A moment's numbers of one destination, in incidents; ``retries`` in requests."""

    sent: int
    retries: int
    dropped: Mapping[str, int]  # by reason


class Counts:
    """``on_lost`` gets a number of incidents that nobody will see there."""

    def __init__(self, on_lost: Callable[[int], None] = lambda _: None) -> None:
        self._lock = threading.Lock()
        self._on_lost = on_lost
        self._sent = 0
        self._retries = 0
        self._dropped = dict.fromkeys(DROPPED, 0)

    def sent(self, incidents: int) -> None:
        with self._lock:
            self._sent += incidents

    def retried(self) -> None:
        with self._lock:
            self._retries += 1

    def dropped(self, reason: str, incidents: int) -> None:
        if incidents <= 0:
            return
        with self._lock:
            self._dropped[reason] = self._dropped.get(reason, 0) + incidents
        self._on_lost(incidents)

    def now(self) -> Sent:
        with self._lock:
            return Sent(self._sent, self._retries, dict(self._dropped))
