# SPDX-License-Identifier: Apache-2.0
"""Lets each of many do something a number of times at once, then once every so often."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

KNOWN_MAX = 1024  # of those who did it lately


class Allowance:
    """``at_once`` times, then once in ``every`` seconds; not locked."""

    def __init__(
        self, at_once: int, every: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ahead = (at_once - 1) * every
        self._every = every
        self._clock = clock
        self._paid_until: dict[Hashable, float] = {}

    def take(self, who: Hashable) -> bool:
        """Count it as done, or return False: not now."""
        now = self._clock()
        until = max(now, self._paid_until.get(who, now))
        if until - now > self._ahead:
            return False
        if len(self._paid_until) >= KNOWN_MAX:
            # Whoever has nothing to pay off is as one who was never seen.
            self._paid_until = {each: at for each, at in self._paid_until.items() if at > now}
        self._paid_until[who] = until + self._every
        return True
