# SPDX-License-Identifier: Apache-2.0
"""One cgroup's recording in user space: what struct oomkill_recording is in the kernel.

Numbers are pages and ticks; `UNKNOWN` stands for no sample.
"""

from __future__ import annotations

from array import array
from typing import Any

from ..incident.full import full_room
from ..incident.wire import lib

UNKNOWN: int = lib.OOMKILL_UNKNOWN_U32
MOST_PAGES = UNKNOWN - 1  # or more: a limit that is none
SAMPLES: int = lib.OOMKILL_SAMPLES
LIMITS: int = lib.OOMKILL_LIMITS
COARSER = (lib.OOMKILL_MEDIUM_TICKS, lib.OOMKILL_COARSE_TICKS)


class Ring:
    """Three series, the limits it had, and since when it has been at its limit."""

    __slots__ = ("_coarser", "_fine", "_first", "_floor", "_full", "_full_since", "_last", "_limit",
                 "_limits", "_now", "_page", "_seen", "_whole", "id")  # fmt: skip

    def __init__(self, number: int, tick: int, limit: int, page: int, *, whole: bool) -> None:
        """``number``: the cgroup's id; ``limit``: in pages of ``page`` bytes."""
        self.id = number
        self._page, self._whole = page, whole
        self._first = self._last = tick
        self._fine = _empty()
        self._coarser = tuple(_empty() for _ in COARSER)
        self._now = [0 for _ in COARSER]  # the sample that is not whole yet
        self._full_since: int | None = None
        self._full: tuple[int, int] | None = None  # the time before: from, and the tick after it
        self._limits = array("I", bytes(8 * LIMITS))
        self._seen = 0
        self._limit = -1
        self.limit_is(limit, tick)

    @staticmethod
    def none() -> dict[str, Any]:
        """Return the fields of one that there is not."""
        return {"id": 0, "first": 0, "last": 0, "flags": 0}

    def limit_is(self, limit: int, tick: int) -> None:
        if limit == self._limit:
            return
        at = 2 * (self._seen % LIMITS)
        self._limits[at], self._limits[at + 1] = tick, limit
        self._seen += 1
        self._limit = limit
        self._floor = limit - full_room(limit, self._page)

    def take(self, tick: int, pages: int) -> None:
        """Enter a sample; a tick without one before it stays unknown."""
        last = self._last
        for missed in range(max(last + 1, tick - SAMPLES), tick):
            self._fine[missed % SAMPLES] = UNKNOWN
        pages = min(pages, MOST_PAGES)
        self._fine[tick % SAMPLES] = pages
        for which, ticks in enumerate(COARSER):
            this, before = tick // ticks, last // ticks
            if this != before:
                series = self._coarser[which]
                series[before % SAMPLES] = self._now[which]
                for missed in range(max(before + 1, this - SAMPLES), this):
                    series[missed % SAMPLES] = UNKNOWN
                self._now[which] = pages
            elif self._now[which] < pages:
                self._now[which] = pages
        if pages < self._floor:
            if self._full_since is not None:
                self._full = (self._full_since, tick)
            self._full_since = None
        elif self._full_since is None:
            self._full_since = tick
        self._last = tick

    def until(self, tick: int) -> dict[str, Any]:
        """Return it as of a tick: samples go on while a record of a kill is on its way."""
        if tick < self._first or self._last - tick >= SAMPLES // 2:
            return self.none()
        last = min(self._last, tick)
        fine = self._fine[:]
        for later in range(last + 1, self._last + 1):  # each was another one's place
            fine[later % SAMPLES] = UNKNOWN
        now = [
            current if last // ticks == self._last // ticks else series[last // ticks % SAMPLES]
            for current, ticks, series in zip(self._now, COARSER, self._coarser, strict=True)
        ]
        since = self._full_since
        if since is None and self._full is not None and self._full[1] > last:
            since = self._full[0]  # it ended with the kill
        if since is not None and since > last:
            since = None
        seen = self._seen  # the limits of later ticks: none, or one
        while seen > 1 and self._limits[2 * ((seen - 1) % LIMITS)] > last:
            seen -= 1
        return {
            "id": self.id,
            "first": self._first,
            "last": last,
            "flags": lib.OOMKILL_RECORDING_WHOLE if self._whole else 0,
            "full_since": since,
            "limits_seen": seen,
            "limits": self._limits.tobytes(),
            "fine": fine.tobytes(),
            "medium": self._coarser[0].tobytes(),
            "coarse": self._coarser[1].tobytes(),
            "medium_now": now[0],
            "coarse_now": now[1],
        }


def _empty() -> array[int]:
    return array("I", [UNKNOWN]) * SAMPLES
