# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives where the memory was: its kinds, against the usage and the limit.

By memory.stat where the record has it, which counts all there was; else by the resident memory of
what was killed. Whatever the known kinds leave of the usage is a part of its own, never spread over
the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...incident.model import Incident, Stat, Victim

KINDS = {
    "anon": "anonymous: heap, stacks",
    "shmem": "shared memory, tmpfs",
    "file": "page cache",
    "kernel": "kernel",
    "sockets": "socket buffers",
    "tables": "page tables",
    "rest": "not told apart",
}
IN_KERNEL = {
    "kernel_stack_bytes": "stacks",
    "pagetables_bytes": "page tables",
    "slab_reclaimable_bytes": "slab, reclaimable",
    "slab_unreclaimable_bytes": "slab, unreclaimable",
}


@dataclass(frozen=True, slots=True)
class Part:
    kind: str  # of KINDS
    bytes: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """``of_all``: the parts are all that was charged; else only what the killed processes had."""

    parts: tuple[Part, ...]
    usage_bytes: int | None
    limit_bytes: int | None
    of_all: bool
    approximate: bool = False

    @property
    def whole_bytes(self) -> int:
        """What the bar's full length stands for; above 0."""
        known = sum(part.bytes for part in self.parts)
        return max(known, self.usage_bytes or 0, self.limit_bytes or 0, 1)


def of_what_ran_out(incident: Incident) -> Breakdown | None:
    """Where the memory of the domain was, or of the killed where no cgroup's limit was reached."""
    domain = incident.domain
    if domain is None:
        return of_killed(incident.victims, None, None)
    if domain.stat is not None and (
        made := _of_stat(domain.stat, domain.usage_bytes, domain.limit_bytes)
    ):
        return made
    return of_killed(incident.victims, domain.usage_bytes, domain.limit_bytes)


def of_victims_cgroup(victim: Victim) -> Breakdown | None:
    """Where the memory of the victim's own cgroup was, where that is not the domain."""
    return _of_stat(victim.stat, victim.usage_bytes, victim.limit_bytes) if victim.stat else None


def of_killed(
    victims: tuple[Victim, ...], usage: int | None, limit: int | None
) -> Breakdown | None:
    """What the killed processes had resident; None where that is unknown.

    Against a cgroup's usage without the files they mapped, which others may have been charged for.
    """
    kinds = {
        "anon": [victim.rss.anon_bytes for victim in victims],
        "shmem": [victim.rss.shmem_bytes for victim in victims],
        "file": [victim.rss.file_bytes for victim in victims],
        "tables": [victim.pagetables_bytes for victim in victims],
    }
    parts = [
        Part(kind, sum(filter(None, sizes)))
        for kind, sizes in kinds.items()
        if None not in sizes and (kind != "file" or usage is None)
    ]
    return _breakdown(parts, usage, limit, of_all=False) if parts else None


def _of_stat(stat: Stat, usage: int | None, limit: int | None) -> Breakdown | None:
    shmem = stat.shmem_bytes
    sizes = {
        "anon": stat.anon_bytes,
        "shmem": shmem,
        "file": None if stat.file_bytes is None else max(0, stat.file_bytes - (shmem or 0)),
        "kernel": _kernel(stat),
        "sockets": stat.sock_bytes,  # which `kernel` of memory.stat leaves out
    }
    parts = [Part(kind, bytes_) for kind, bytes_ in sizes.items() if bytes_ is not None]
    if not parts:
        return None
    return _breakdown(parts, usage, limit, of_all=True, approximate=bool(stat.approximate))


def _kernel(stat: Stat) -> int | None:
    if stat.kernel_bytes is not None:
        return stat.kernel_bytes
    known = [bytes_ for _, bytes_ in in_kernel(stat)]
    return sum(known) if known else None


def in_kernel(stat: Stat) -> list[tuple[str, int]]:
    """What the kernel's part was made of, as far as it is known."""
    sizes = ((what, getattr(stat, field)) for field, what in IN_KERNEL.items())
    return [(what, bytes_) for what, bytes_ in sizes if bytes_ is not None]


def _breakdown(
    parts: list[Part],
    usage: int | None,
    limit: int | None,
    *,
    of_all: bool,
    approximate: bool = False,
) -> Breakdown:
    if usage is not None and (rest := usage - sum(part.bytes for part in parts)) > 0:
        parts = [*parts, Part("rest", rest)]
    return Breakdown(tuple(parts), usage, limit, of_all, approximate)
