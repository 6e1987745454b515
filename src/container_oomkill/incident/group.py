# SPDX-License-Identifier: Apache-2.0
"""Collects the victims of a group kill, of which there may be tens of thousands.

An incident lists `LISTED` of them: the one the kernel chose and the largest of the others, in the
kernel's order. Of the rest it has numbers and sums, as a record of ten thousand processes would
take more memory than the exporter is given.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappush, heappushpop

from .model import Incident, Rss, Unlisted, UnlistedIn, Victim

LISTED = 256
CGROUPS = 64  # of what is not listed, the victims are counted by cgroup
MOST = (1 << 63) - 1  # of a sum: more is no number of bytes
SUMS = ("anon", "file", "shmem", "swap", "pagetables")


class Group:
    """A group's victims as far as they have come; `whole` is the incident with them."""

    def __init__(self, first: Incident) -> None:
        self._first = first
        self._candidates = {each.pid for each in first.candidates or ()}
        self._killed: set[int | None] = set()  # of the candidates
        self._number = 0
        self._largest: list[tuple[int, int, Victim]] = []  # a heap; the number tells equals apart
        self._unlisted = 0
        self._sums: dict[str, int | None] = dict.fromkeys(SUMS, 0)
        self._cgroups: Counter[int | None] = Counter()

    @property
    def sequence(self) -> int:
        return self._first.sequence

    def one(self, victim: Victim) -> Incident:
        """Return the incident with this victim alone."""
        return self._first.changed(victims=(victim,))

    def add(self, victim: Victim) -> None:
        """Add a further victim."""
        if victim.pid in self._candidates:
            self._killed.add(victim.pid)
        self._number += 1
        resident = victim.rss.total_bytes()
        size = -1 if resident is None else resident
        entry = (size, -self._number, victim)  # of equals the first stays
        if len(self._largest) < LISTED - 1:
            heappush(self._largest, entry)
        else:
            self._leave_out(heappushpop(self._largest, entry)[2])

    def _leave_out(self, victim: Victim) -> None:
        self._unlisted += 1
        rss = victim.rss
        sizes = (rss.anon_bytes, rss.file_bytes, rss.shmem_bytes)
        for name, size in zip(
            SUMS, (*sizes, victim.swap_bytes, victim.pagetables_bytes), strict=True
        ):
            before = self._sums[name]
            both = None if before is None or size is None else before + size
            self._sums[name] = None if both is None or both > MOST else both
        known = victim.cgroup_id in self._cgroups or len(self._cgroups) < CGROUPS
        self._cgroups[victim.cgroup_id if known else None] += 1

    def whole(self) -> Incident:
        """Return the incident with all of them."""
        in_order = sorted(self._largest, key=lambda entry: -entry[1])
        candidates = self._first.candidates
        if candidates is not None:
            candidates = tuple(other for other in candidates if other.pid not in self._killed)
        return self._first.changed(
            victims=self._first.victims + tuple(victim for _, _, victim in in_order),
            candidates=candidates,
            unlisted=self._left_out() if self._unlisted else None,
        )

    def _left_out(self) -> Unlisted:
        sums = self._sums
        return Unlisted(
            victims=self._unlisted,
            rss=Rss(sums["anon"], sums["file"], sums["shmem"]),
            swap_bytes=sums["swap"],
            pagetables_bytes=sums["pagetables"],
            cgroups=tuple(UnlistedIn(*each) for each in self._cgroups.most_common()),
        )
