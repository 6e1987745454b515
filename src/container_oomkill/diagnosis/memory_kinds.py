# SPDX-License-Identifier: Apache-2.0
"""Where the memory was, in words: every kind that was a quarter or more of what ran out.

The numbers are those of `breakdown`, which do not overlap; here is what is said of them, and what
to do about each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..incident.model import Incident
from ..units import size
from .breakdown import Breakdown, find_breakdown, killed, total
from .rule import Rule

NOTABLE_PERCENT = 25
OWNED_PERCENT = 90  # of the domain's anonymous memory, to call it a process's own

Says = Callable[[Incident, Breakdown], str | None]
Weighs = Callable[[Breakdown], int | None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A rule before it has its breakdown; ``weighs``: bytes it speaks of."""

    name: str
    says: Says
    weighs: Weighs
    advice: str

    def rule(self) -> Rule:
        def says(incident: Incident) -> str | None:
            breakdown = find_breakdown(incident)
            return None if breakdown is None else self.says(incident, breakdown)

        return Rule(self.name, says, self.advice)


def find_memory_kinds(incident: Incident) -> list[tuple[Rule, str]]:
    """Return the rules that apply and their words, the largest kind first."""
    breakdown = find_breakdown(incident)
    if breakdown is None:
        return []
    said = [
        (kind.weighs(breakdown) or 0, rule, words)
        for kind, rule in zip(_KINDS, MEMORY_KINDS, strict=True)
        if (words := kind.says(incident, breakdown))
    ]
    said.sort(key=lambda each: each[0], reverse=True)
    return [(rule, words) for _, rule, words in said]


def percent(bytes_: int | None, whole: int | None) -> int | None:
    """Return the share, rounded down; None where either is unknown."""
    return None if bytes_ is None or not whole else 100 * bytes_ // whole


def _name(incident: Incident) -> str:
    died = killed(incident)
    return (
        died[0].command or "the victim" if len(died) == 1 else f"the {len(died)} processes killed"
    )


def _kind(name: str, part: str, what: str, advice: str) -> _Kind:
    """The rule of a kind of memory; ``part``: its name in the breakdown."""

    def weighs(breakdown: Breakdown) -> int | None:
        return breakdown.bytes_of(part)

    def says(incident: Incident, breakdown: Breakdown) -> str | None:
        held = weighs(breakdown)
        share = percent(held, breakdown.usage_bytes)
        if held is None or share is None or share < NOTABLE_PERCENT:
            return None
        if breakdown.of_all:
            return _share(breakdown, held, share) + what
        if share > 100:  # pages charged elsewhere, or shared: no share of this
            return f"{_name(incident)} had {size(held)} of {what}"
        return f"{share} % is {what} of {_name(incident)}"

    return _Kind(name, says, weighs, advice)


def _share(breakdown: Breakdown, held: int, share: int) -> str:
    about = "approximately " if breakdown.approximate else ""
    if share > 100:  # the two were not read at the same instant
        return f"{about}{size(held)} is "
    return f"{about}{share} % ({size(held)}) is "


def _anonymous(incident: Incident, breakdown: Breakdown) -> str | None:
    """As any other kind, and how much of it those held that died."""
    words = ANONYMOUS.says(incident, breakdown)
    died = total(victim.rss.anon_bytes for victim in killed(incident))
    if words is None or not breakdown.of_all or died is None:
        return words
    share = percent(died, ANONYMOUS.weighs(breakdown))
    if share is None or share > 200 - OWNED_PERCENT:  # charged elsewhere, for the most part
        return words
    if share >= OWNED_PERCENT:
        return f"{words} of {_name(incident)}"
    return f"{words}, {size(died)} of it {_name(incident)}'s"


def _tmpfs(incident: Incident, breakdown: Breakdown) -> str | None:
    words = TMPFS.says(incident, breakdown)
    if words is None:
        return None
    volumes = "tmpfs mounts"
    if incident.scope == "pod" or incident.container.pod or incident.container.pod_uid:
        volumes = "memory-backed emptyDir volumes"
    return f"{words} (look at {volumes} and /dev/shm)"


def _a_part_says(incident: Incident, breakdown: Breakdown) -> bool:
    return any(kind.says(incident, breakdown) for kind in KERNEL_PARTS)


def _kernel(incident: Incident, breakdown: Breakdown) -> str | None:
    """Where it is counted as a whole, and no part of it says more."""
    if not breakdown.counts_kernel or _a_part_says(incident, breakdown):
        return None
    return KERNEL.says(incident, breakdown)


def _untold(breakdown: Breakdown) -> int | None:
    """The kernel's own memory and the rest, where memory.stat does not tell the two apart."""
    known = None not in map(breakdown.bytes_of, ("anon", "file", "shmem"))
    if not breakdown.of_all or breakdown.counts_kernel or not known:
        return None
    return (breakdown.bytes_of("kernel") or 0) + (breakdown.bytes_of("rest") or 0)


def _not_told_apart(incident: Incident, breakdown: Breakdown) -> str | None:
    held = _untold(breakdown)
    share = percent(held, breakdown.usage_bytes)
    if held is None or share is None or share < NOTABLE_PERCENT:
        return None
    if _a_part_says(incident, breakdown):
        return None
    return (
        _share(breakdown, held, share)
        + "neither anonymous memory nor page cache, so it is apparently the kernel's own"
    )


def _little(incident: Incident, breakdown: Breakdown) -> str | None:
    """All that is known without memory.stat: it was not those that died."""
    usage = breakdown.usage_bytes
    if breakdown.of_all or not usage:
        return None
    held = [kind.weighs(breakdown) for kind in (ANONYMOUS, TMPFS, PAGE_TABLES)]
    most = max((bytes_ for bytes_ in held if bytes_ is not None), default=None)
    if None in held or most is None or 100 * most // usage >= NOTABLE_PERCENT:
        return None
    itself = " itself" if len(killed(incident)) == 1 else ""
    return (
        f"{_name(incident)}{itself} held little of it ({size(most)} of {size(usage)}), "
        "so look at its neighbours, at tmpfs and at kernel memory"
    )


ANONYMOUS = _kind(
    "anonymous-memory",
    "anon",
    "anonymous memory",
    "Heap and stacks: compare with the settings that bound them (heap size, workers, caches); "
    "take a heap profile if it grows without end.",
)
TMPFS = _kind(
    "tmpfs",
    "shmem",
    "shared memory or tmpfs",
    "Run df on tmpfs mounts, memory-backed emptyDir volumes and /dev/shm: files there are memory "
    "until they are deleted. Give them a sizeLimit. A restart alone may not free them.",
)
PAGE_TABLES = _kind(
    "page-tables",
    "page_tables",
    "page tables",
    "Look for many processes that map the same large memory, or sparse mappings; huge pages cost "
    "a fraction.",
)
KERNEL_PARTS = (
    _kind(
        "slab",
        "slab",
        "kernel objects (slab)",
        "Look at slabtop on the node: many open files, directory entries, inotify watches or "
        "connections are kept in the kernel for it.",
    ),
    PAGE_TABLES,
    _kind(
        "kernel-stacks",
        "kernel_stacks",
        "kernel stacks",
        "Count its threads: each has a stack of 16 KiB in the kernel, beside its own.",
    ),
)
KERNEL = _kind(
    "kernel-memory",
    "kernel",
    "the kernel's own memory",
    "Compare kernel, slab, percpu and vmalloc in its memory.stat; what waits in pipes is in none "
    "of these but kernel; BPF maps, cgroups and io_uring are charged too.",
)
_KINDS = (
    replace(ANONYMOUS, says=_anonymous),
    replace(TMPFS, says=_tmpfs),
    _kind(
        "page-cache",
        "file",
        "page cache that could not be reclaimed",
        "Look for locked files (mlock, vmtouch) and for a disk too slow for what is written: "
        "dirty pages stay until they are on it.",
    ),
    *KERNEL_PARTS,
    replace(KERNEL, says=_kernel),
    _kind(
        "sockets",
        "sockets",
        "socket buffers",
        "Look at ss -tmn in its network namespace: peers that read slowly, or many connections.",
    ),
    _Kind(
        "not-told-apart",
        _not_told_apart,
        _untold,
        "This kernel does not count it in memory.stat: look at slabtop, and at pipes, page tables "
        "and BPF maps.",
    ),
    _Kind(
        "little",
        _little,
        lambda _: None,
        "Look at memory.stat of the cgroup whose limit it was.",
    ),
)
MEMORY_KINDS = tuple(kind.rule() for kind in _KINDS)
