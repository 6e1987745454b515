# SPDX-License-Identifier: Apache-2.0
"""How long to wait after repeated failures: ever longer, and never the same on two nodes."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 1.0
MOST_SECONDS = 60.0
ASKED_FOR_MOST_SECONDS = 600.0  # of what a server may ask for


class Backoff:
    """`next` after a failure, `reset` after what went well."""

    def __init__(
        self,
        *,
        first: float = FIRST_SECONDS,
        most: float = MOST_SECONDS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._most = most
        self._chance = chance
        self._failures = 0

    def next(self, asked_for: float | None = None) -> float:
        """Return seconds; ``asked_for``: the server's Retry-After, the least to wait then."""
        bound = min(self._most, self._first * (1 << min(self._failures, 32)))
        self._failures += 1
        seconds = bound / 2 + bound / 2 * self._chance()
        return seconds + min(asked_for or 0.0, ASKED_FOR_MOST_SECONDS)

    def reset(self) -> None:
        self._failures = 0
