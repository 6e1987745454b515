# SPDX-License-Identifier: Apache-2.0
"""Keeps what is out of memory without a kill, and what was: for the web pages and the API.

What goes on is told once a minute, and within seconds of its end. Of what was not told for three
minutes nobody knows whether it goes on: its record was lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..sinks.stuck_names import stuck_key
from ..stuck.cause import as_of, explain
from ..stuck.model import SILENT_SECONDS, Stuck
from .latest import Latest

ONGOING_MAX = 500


class StuckHistory(Latest[Stuck]):
    """Call it with each episode that is over, `goes_on` with one that is not."""

    def __init__(
        self,
        max_episodes: int = 256,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(stuck_key, max_episodes)
        self._monotonic = monotonic
        self._wall = wall
        self._ongoing: dict[str, tuple[float, Stuck]] = {}  # by id: when it was told, and what

    def goes_on(self, stuck: Stuck) -> None:
        """Take an episode as far as it is known: at its begin, and each minute."""
        with self._lock:
            if stuck.id in self._ongoing or len(self._ongoing) < ONGOING_MAX:
                self._ongoing[stuck.id] = self._monotonic(), stuck

    def __call__(self, stuck: Stuck) -> None:
        """It is over."""
        with self._lock:
            self._ongoing.pop(stuck.id, None)
            self._add(stuck)

    def newest_first(self) -> list[Stuck]:
        """Return what goes on, for how long it has by now, then what is over."""
        wall = self._wall()
        with self._lock:
            self._settle(self._monotonic())
            ongoing = [as_of(stuck, wall) for _, stuck in self._ongoing.values()]
            over = self._newest_first()
        return [*sorted(ongoing, key=lambda stuck: stuck.time, reverse=True), *over]

    def _settle(self, now: float) -> None:
        """Of what is not told any more the end is unknown."""
        silent = [id_ for id_, (told, _) in self._ongoing.items() if now - told > SILENT_SECONDS]
        for id_ in silent:
            _, stuck = self._ongoing.pop(id_)
            self._add(explain(replace(stuck, stuck=replace(stuck.stuck, ended=None))))
