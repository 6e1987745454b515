# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives where the memory was: bytes by kind, against the usage and the limit.

The one answer for the verdict, the text, the terminal and the page. It is by memory.stat where the
record has it, which counts all that was charged; else by the resident memory of what was killed.
What the known kinds leave of the usage is a part of its own (`REST`), never spread over the others.
A new kind of memory is a row of `KINDS`, or a row within one that contains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from ..incident.model import Domain, Incident, Stat, Victim
from ..incident.node_memory import NodeMemory


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table; the kinds of one level do not overlap, ``within`` are parts of this one.

    ``label``: in a line of numbers; ``words``: in a table. ``of_stat``, ``of_victim``: its bytes,
    None where unknown, or where that does not have it. ``summed``: where its own number is unknown
    it is at least what is known within it. ``seldom``: worth a word only where there is any.
    """

    name: str
    label: str
    words: str
    of_stat: Callable[[Stat], int | None]
    of_victim: Callable[[Victim], int | None] = lambda _: None
    within: tuple[Kind, ...] = ()
    summed: bool = False
    seldom: bool = False


SLAB = (
    Kind(
        "slab_reclaimable", "reclaimable", "slab, reclaimable", lambda s: s.slab_reclaimable_bytes
    ),
    Kind(
        "slab_unreclaimable",
        "unreclaimable",
        "slab, unreclaimable",
        lambda s: s.slab_unreclaimable_bytes,
    ),
)
KERNEL = (
    Kind("kernel_stacks", "kernel stacks", "stacks", lambda s: s.kernel_stack_bytes),
    Kind(
        "page_tables",
        "page tables",
        "page tables",
        lambda s: s.pagetables_bytes,
        lambda v: v.pagetables_bytes,
    ),
    Kind("slab", "slab", "slab", Stat.slab_bytes, within=SLAB),
    Kind("vmalloc", "vmalloc", "vmalloc", lambda s: s.vmalloc_bytes, seldom=True),
    Kind("percpu", "percpu", "per-CPU memory", lambda s: s.percpu_bytes, seldom=True),
    Kind("zswap", "zswap", "zswap: compressed heap", lambda s: s.zswap_bytes, seldom=True),
)
KINDS = (
    Kind(
        "anon",
        "anon",
        "anonymous: heap, stacks",
        lambda s: s.anon_bytes,
        lambda v: v.rss.anon_bytes,
    ),
    Kind("file", "file", "page cache", Stat.cache_bytes, lambda v: v.rss.file_bytes),
    Kind(
        "shmem",
        "shmem",
        "shared memory, tmpfs",
        lambda s: s.shmem_bytes,
        lambda v: v.rss.shmem_bytes,
    ),
    # memory.stat counts the whole since 5.18, sockets not among it.
    Kind("kernel", "kernel", "kernel", lambda s: s.kernel_bytes, within=KERNEL, summed=True),
    Kind("sockets", "sockets", "socket buffers", lambda s: s.sock_bytes, seldom=True),
    Kind("hugetlb", "huge pages", "huge pages (hugetlb)", lambda s: s.hugetlb_bytes, seldom=True),
    # On the kernel's lists of anonymous pages, and in no process's: anon does not count them.
    Kind("pinned", "pinned", "pinned: mapped by nobody", lambda s: s.pinned_bytes, seldom=True),
)
REST = Kind("rest", "other", "not told apart", lambda _: None, seldom=True)
NODES_REST = "in no counter: drivers, packet rings, DMA"
MAPPED_FILES = "file"  # of a process; another cgroup may have been charged for them


@dataclass(frozen=True, slots=True)
class Part:
    """``approximate``: at least so much, where the breakdown's other parts are what they are."""

    kind: str  # a kind's name
    label: str
    words: str
    bytes: int
    approximate: bool = False
    seldom: bool = False
    parts: tuple[Part, ...] = ()  # what it is made of, its own rest included

    @property
    def is_rest(self) -> bool:
        return self.kind.endswith(REST.name)

    def amount(self, in_words: Callable[[int], str]) -> str:
        """Say it in a line of numbers."""
        least = "at least " if self.approximate else ""
        return f"{self.label} {least}{in_words(self.bytes)}"


@dataclass(frozen=True)
class Breakdown:
    """``parts`` add up to `used_bytes`.

    ``of_all``: they are all that was charged; else only what the killed processes had.
    ``approximate``: by a memory.stat that lacks the latest of some CPUs or cgroups below.
    """

    parts: tuple[Part, ...]
    usage_bytes: int | None
    limit_bytes: int | None
    of_all: bool
    approximate: bool = False

    @property
    def used_bytes(self) -> int:
        """The usage, or the sum of the parts where that is more: they were read one by one."""
        return max(self.usage_bytes or 0, sum(part.bytes for part in self.parts))

    @property
    def free_bytes(self) -> int | None:
        """What the limit left; None where the usage or the limit is unknown."""
        if self.usage_bytes is None or self.limit_bytes is None:
            return None
        return max(0, self.limit_bytes - self.used_bytes)

    @property
    def whole_bytes(self) -> int:
        """What a bar's full length stands for; above 0."""
        return max(self.used_bytes, self.limit_bytes or 0, 1)

    @property
    def counts_kernel(self) -> bool:
        """Whether the kernel's own memory is told from the rest: memory.stat has it since 5.18."""
        return any(part.kind == "kernel" and not part.approximate for part in self.parts)

    def every_part(self) -> Iterator[Part]:
        """Yield each part and what it is made of, in the order of the table."""
        return _flat(self.parts)

    def bytes_of(self, kind: str) -> int | None:
        """Return a kind's bytes, wherever it is; None where they are unknown."""
        return self._bytes.get(kind)

    @cached_property
    def _bytes(self) -> dict[str, int]:
        """Each rule of the verdict asks, of every kill."""
        return {part.kind: part.bytes for part in self.every_part()}


def find_breakdown(incident: Incident) -> Breakdown | None:
    """Where the memory was of what ran out: the domain's; the killed processes' without a domain.

    None where nothing is known of it.
    """
    domain = incident.domain
    if domain is None:
        return of_processes(killed(incident))
    return of_cgroup(domain) or of_processes(
        killed(incident), domain.usage_bytes, domain.limit_bytes
    )


def of_victims_cgroup(incident: Incident) -> Breakdown | None:
    """Where the memory of the victim's own cgroup was, where that is not the domain."""
    return of_cgroup(incident.victims[0])


def of_cgroup(group: Domain | Victim) -> Breakdown | None:
    """By its memory.stat; None where nothing of that is known."""
    stat = group.stat
    if stat is None:
        return None
    parts = tuple(_of_stat(stat, KINDS))
    if not parts:
        return None
    return _breakdown(
        parts, group.usage_bytes, group.limit_bytes, of_all=True, approximate=bool(stat.approximate)
    )


def of_node(memory: NodeMemory | None) -> Breakdown | None:
    """By the node's counters, against all of its memory; None where nothing of that is known."""
    if memory is None or memory.used_bytes() is None:
        return None
    vmalloc = memory.vmalloc_bytes
    stat = Stat(
        anon_bytes=memory.anon_bytes,
        file_bytes=memory.file_bytes,
        shmem_bytes=memory.shmem_bytes,
        kernel_stack_bytes=memory.kernel_stack_bytes,
        pagetables_bytes=memory.pagetables_bytes,
        slab_reclaimable_bytes=memory.slab_reclaimable_bytes,
        slab_unreclaimable_bytes=memory.slab_unreclaimable_bytes,
        kernel_bytes=memory.kernel_bytes(),
        zswap_bytes=memory.zswap_bytes,
        hugetlb_bytes=memory.hugetlb_bytes,
        vmalloc_bytes=None if vmalloc is None else vmalloc - (memory.kernel_stack_bytes or 0),
        percpu_bytes=memory.percpu_bytes,
        pinned_bytes=memory.unmapped_bytes,
    )
    parts = tuple(_of_stat(stat, KINDS))
    approximate = bool(memory.approximate)
    found = _breakdown(
        parts, memory.used_bytes(), memory.total_bytes, of_all=True, approximate=approximate
    )
    named = (replace(part, words=NODES_REST) if part.is_rest else part for part in found.parts)
    return replace(found, parts=tuple(named))


def of_processes(
    victims: tuple[Victim, ...], usage: int | None = None, limit: int | None = None
) -> Breakdown | None:
    """By what they had resident; against a cgroup's ``usage`` without the files they mapped."""
    parts = []
    for kind in _every_kind(KINDS):
        bytes_ = total(map(kind.of_victim, victims))
        if bytes_ is not None and (kind.name != MAPPED_FILES or usage is None):
            parts.append(_part(kind, bytes_))
    if not parts and usage is None:
        return None
    return _breakdown(tuple(parts), usage, limit, of_all=False)


def killed(incident: Incident) -> tuple[Victim, ...]:
    """A group dies as one: its first process says little of what it held.

    Those that are not listed are one more, which has what they held in all.
    """
    if not incident.oom.group:
        return incident.victims[:1]
    if (rest := incident.unlisted) is None:
        return incident.victims
    held = Victim(rss=rest.rss, swap_bytes=rest.swap_bytes, pagetables_bytes=rest.pagetables_bytes)
    return *incident.victims, held


def total(sizes: Iterable[int | None]) -> int | None:
    """With one of them unknown, so is the sum; nothing holds less than nothing."""
    whole = 0
    for bytes_ in sizes:
        if bytes_ is None or bytes_ < 0:
            return None
        whole += bytes_
    return whole


def _of_stat(stat: Stat, kinds: Iterable[Kind]) -> Iterator[Part]:
    """Of a kind that is unknown, what is known within it stands in its place."""
    for kind in kinds:
        bytes_ = total((kind.of_stat(stat),))
        within = tuple(_of_stat(stat, kind.within))
        known = sum(part.bytes for part in within)
        if bytes_ is not None:
            if within and bytes_ > known:
                rest = Part(f"{kind.name}_{REST.name}", REST.label, REST.words, bytes_ - known)
                within = (*within, rest)
            yield _part(kind, bytes_, within)
        elif within and kind.summed:
            yield replace(_part(kind, known, within), approximate=True)
        else:
            yield from within


def _part(kind: Kind, bytes_: int, within: tuple[Part, ...] = ()) -> Part:
    return Part(kind.name, kind.label, kind.words, bytes_, seldom=kind.seldom, parts=within)


def _breakdown(
    parts: tuple[Part, ...],
    usage: int | None,
    limit: int | None,
    *,
    of_all: bool,
    approximate: bool = False,
) -> Breakdown:
    if usage is not None:
        rest = usage - sum(part.bytes for part in parts)
        if rest > 0:
            parts = (*parts, _part(REST, rest))
        else:  # there is nothing left that could be more of one
            parts = tuple(
                replace(part, approximate=False) if part.approximate else part for part in parts
            )
    return Breakdown(parts, usage, limit, of_all, approximate)


def _every_kind(kinds: Iterable[Kind]) -> Iterator[Kind]:
    for kind in kinds:
        yield kind
        yield from _every_kind(kind.within)


def _flat(parts: Iterable[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from _flat(part.parts)
