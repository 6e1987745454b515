# SPDX-License-Identifier: Apache-2.0
"""Where the memory was, in words: every kind that was a quarter or more of what ran out.

The numbers are those of `breakdown`, which do not overlap; here is what is said of them, and what
to do about each. What no kind is a quarter of, and together is, is told as a mix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..incident.model import Incident
from ..units import size
from .below import NOTABLE_PERCENT, percent
from .breakdown import Breakdown, Part, find_breakdown, killed, total
from .kernel_kinds import KERNEL_KINDS, NOT_TOLD_APART, PAGE_TABLES, untold
from .kind_rule import KindRule, kind_rule, name_of_killed, notable
from .limit import is_lowered, is_over
from .rule import Rule
from .shared_memory import SHARED_KINDS, TMPFS
from .sharing import after_fork

OWNED_PERCENT = 90  # of the domain's anonymous memory, to call it a process's own
MIX_SHOWN = 3


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


def _anonymous(incident: Incident, breakdown: Breakdown) -> str | None:
    """As any other kind, and how much of it those held that died, or many share."""
    words, anon = ANONYMOUS.says(incident, breakdown), ANONYMOUS.weighs(breakdown)
    died = total(victim.rss.anon_bytes for victim in killed(incident))
    if words is None or anon is None or not breakdown.of_all:
        return words
    if (sharing := after_fork(incident, anon)) is not None:
        return f"{words} that {sharing} processes share in part, as after a fork"
    share = percent(died, anon)
    if died is None or share is None or share > 200 - OWNED_PERCENT:
        return words  # charged elsewhere, for the most part
    if share >= OWNED_PERCENT:
        return f"{words} of {name_of_killed(incident)}"
    return f"{words}, {size(died)} of it {name_of_killed(incident)}'s"


def _sockets(incident: Incident, breakdown: Breakdown) -> str | None:
    """As any other kind, and that they alone may pass the limit."""
    words, domain = SOCKETS.says(incident, breakdown), incident.domain
    if words is None or domain is None or not is_over(domain) or is_lowered(incident):
        return words
    return f"{words}, which may pass the limit: {size(domain.usage_bytes or 0)} were in use"


def _uncounted(_: Incident, breakdown: Breakdown) -> str | None:
    """The rest, where it is in no kind at all, or the kinds are not known."""
    words = notable(breakdown, breakdown.bytes_of("rest"))
    if words is None or untold(breakdown) is not None:
        return None
    if not breakdown.counts_kernel:
        return f"{words}of no kind that is known"
    return f"{words}in no kind that this kernel counts (huge pages may be it)"


def _not_the_killed(incident: Incident, breakdown: Breakdown) -> str | None:
    """Without memory.stat, the rest beside what was a quarter: it was not those that died."""
    rest, usage = breakdown.bytes_of("rest"), breakdown.usage_bytes
    known = None not in map(breakdown.bytes_of, ("anon", "shmem"))
    share = percent(rest, usage)
    if breakdown.of_all or not known or rest is None or share is None or share < NOTABLE_PERCENT:
        return None
    if _little(incident, breakdown) is not None:
        return None
    return (
        f"{share} % ({size(rest)}) is not in {name_of_killed(incident)}: in others, in page "
        "cache, tmpfs or the kernel"
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
        f"{name_of_killed(incident)}{itself} held little of it ({size(most)} of {size(usage)}), "
        "so look at its neighbours, at tmpfs and at kernel memory"
    )


def _unnamed(incident: Incident, breakdown: Breakdown) -> list[Part]:
    """The parts that no rule has words for, largest first."""
    told = {part for kind in _KINDS[:-1] if kind.says(incident, breakdown) for part in kind.parts}
    left = [part for part in _leaves(breakdown.parts, told) if part.bytes]
    return sorted(left, key=lambda part: part.bytes, reverse=True)


def _leaves(parts: tuple[Part, ...], told: set[str]) -> Iterator[Part]:
    """Those that are not told, nor anything within them."""
    for part in parts:
        if part.kind in told:
            continue
        within = {each.kind for each in Breakdown(part.parts, None, None, of_all=True).every_part()}
        if told & within:
            yield from _leaves(part.parts, told)
        else:
            yield part


def _mix(incident: Incident, breakdown: Breakdown) -> str | None:
    """What is left, where that is a quarter: parts too small, or one known in part alone."""
    left = _unnamed(incident, breakdown)
    words = notable(breakdown, sum(part.bytes for part in left))
    if words is None:
        return None
    if len(left) == 1:
        return f"{words}{left[0].words}"
    shown = ", ".join(part.amount(size) for part in left[:MIX_SHOWN])
    return f"{words}a mix: {shown}" + (" and others" if len(left) > MIX_SHOWN else "")


ANONYMOUS = kind_rule(
    "anonymous-memory",
    "anon",
    "anonymous memory",
    "Heap and stacks: compare with the settings that bound them (heap size, workers, caches); "
    "take a heap profile if it grows without end.",
)
SOCKETS = kind_rule(
    "sockets",
    "sockets",
    "socket buffers",
    "Look at ss -tmn in its network namespace: peers that read slowly, or many connections.",
)
_KINDS = (
    replace(ANONYMOUS, says=_anonymous),
    *SHARED_KINDS,
    kind_rule(
        "page-cache",
        "file",
        "page cache that could not be reclaimed",
        "Look for locked files (mlock, vmtouch) and for a disk too slow for what is written: "
        "dirty pages stay until they are on it.",
    ),
    *KERNEL_KINDS,
    replace(SOCKETS, says=_sockets),
    kind_rule(
        "huge-pages",
        "hugetlb",
        "huge pages (hugetlb)",
        "Look at what maps huge pages (HugePages_ in /proc/meminfo, Hugetlb in "
        "/proc/PID/smaps_rollup): with memory_hugetlb_accounting they count against the limit.",
    ),
    kind_rule(
        "pinned-pages",
        "pinned",
        "pages that only a pin or the kernel holds",
        "Look for what pins memory after it was unmapped: RDMA, io_uring buffers, vmsplice into "
        "pipes, device passthrough (VFIO).",
    ),
    NOT_TOLD_APART,
    KindRule(
        "uncounted",
        _uncounted,
        lambda breakdown: breakdown.bytes_of("rest"),
        "Look at HugePages_ in /proc/meminfo if cgroup v2 is mounted with "
        "memory_hugetlb_accounting; else compare memory.current with the sum of memory.stat.",
        ("rest",),
    ),
    KindRule(
        "not-the-killed",
        _not_the_killed,
        lambda breakdown: breakdown.bytes_of("rest"),
        "Look at memory.stat of the cgroup, and at its other processes.",
        ("rest",),
    ),
    KindRule(
        "little",
        _little,
        lambda _: None,
        "Look at memory.stat of the cgroup whose limit it was.",
    ),
    KindRule(
        "mix",
        _mix,
        lambda _: None,
        "Compare memory.stat with what it is at other times: no kind of it stands out.",
    ),
)
MEMORY_KINDS = tuple(kind.rule() for kind in _KINDS)
