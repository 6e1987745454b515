# SPDX-License-Identifier: Apache-2.0
"""Takes where memory was, gives it as one bar of characters, against the limit."""

from __future__ import annotations

from dataclasses import dataclass

from ..incident.model import Domain, Incident, Stat, Victim

FREE = "free"
BLOCKS = {
    "anon": "█",
    "file": "▓",
    "shmem": "▒",
    "kernel": "▚",
    "sockets": "▞",
    "other": "░",
    FREE: "·",
}
PLAIN = {
    "anon": "#",
    "file": "=",
    "shmem": "%",
    "kernel": "+",
    "sockets": "*",
    "other": "-",
    FREE: ".",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A cgroup's memory: the domain's, or the victim's where no cgroup's limit was reached."""

    cgroup: str | None
    usage_bytes: int | None
    limit_bytes: int | None
    stat: Stat

    @classmethod
    def of(cls, group: Domain | Victim) -> Place:
        return cls(group.cgroup, group.usage_bytes, group.limit_bytes, group.stat or Stat())


def find_place(incident: Incident) -> Place:
    """Return the one that the bar is of."""
    return Place.of(incident.domain or incident.victims[0])


def parts(place: Place) -> dict[str, int]:
    """Return bytes by kind; they add up to the usage or, where that is less, to the limit.

    ``other`` is what no known kind accounts for, ``free`` what the limit left.
    """
    stat = place.stat
    kinds = {
        "anon": stat.anon_bytes,
        "file": stat.cache_bytes(),
        "shmem": stat.shmem_bytes,
        "kernel": stat.kernel_bytes,
        "sockets": stat.sock_bytes,
    }
    known = {kind: bytes_ for kind, bytes_ in kinds.items() if bytes_ and bytes_ > 0}
    used = max(place.usage_bytes or 0, sum(known.values()))
    known["other"] = used - sum(known.values())
    known[FREE] = max(0, (place.limit_bytes or 0) - used)
    return {kind: bytes_ for kind, bytes_ in known.items() if bytes_}


def cells(sizes: dict[str, int], columns: int) -> dict[str, int]:
    """Share the columns out, none left over: each its whole ones, the rest to the largest rests."""
    whole = sum(sizes.values())
    if not whole:
        return {}
    shares = {kind: divmod(bytes_ * columns, whole) for kind, bytes_ in sizes.items()}
    missing = columns - sum(count for count, _ in shares.values())
    lucky = sorted(shares, key=lambda kind: shares[kind][1], reverse=True)[:missing]
    return {kind: count + (kind in lucky) for kind, (count, _) in shares.items()}
