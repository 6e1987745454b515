# SPDX-License-Identifier: Apache-2.0
"""Where the memory was, in words: every kind that was a quarter or more of what ran out.

By memory.stat of the domain where it was recorded, else by what the killed processes held. The
kinds do not overlap: shmem is taken out of file, and the kernel's parts out of its whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..incident.model import Incident, Stat, Victim
from ..units import size
from .rule import Rule

NOTABLE_PERCENT = 25
OWNED_PERCENT = 90  # of the domain's anonymous memory, to call it a process's own

OfStat = Callable[[Stat], int | None]
OfVictim = Callable[[Victim], int | None]


def find_memory_kinds(incident: Incident) -> list[tuple[Rule, str]]:
    """Return the rules that apply and their words, the largest kind first."""
    said = [(rule, words) for rule in MEMORY_KINDS if (words := rule.says(incident))]
    return sorted(said, key=lambda each: each[0].weighs(incident) or 0, reverse=True)


def killed(incident: Incident) -> tuple[Victim, ...]:
    """A group dies as one: its first process says little of what it held."""
    return incident.victims if incident.oom.group else incident.victims[:1]


def total(sizes: Iterable[int | None]) -> int | None:
    """With one of them unknown, so is the sum."""
    known = list(sizes)
    return None if None in known else sum(filter(None, known))


def percent(bytes_: int | None, whole: int | None) -> int | None:
    """Return the share, rounded down; None where either is unknown."""
    return None if bytes_ is None or not whole else 100 * bytes_ // whole


def _stat(incident: Incident) -> Stat | None:
    return None if incident.domain is None else incident.domain.stat


def _usage(incident: Incident) -> int | None:
    return None if incident.domain is None else incident.domain.usage_bytes


def _name(incident: Incident) -> str:
    died = killed(incident)
    return (
        died[0].command or "the victim" if len(died) == 1 else f"the {len(died)} processes killed"
    )


def _about(incident: Incident) -> str:
    stat = _stat(incident)
    return "approximately " if stat is not None and stat.approximate else ""


def _kind(
    name: str, what: str, of_stat: OfStat, advice: str, of_victim: OfVictim = lambda _: None
) -> Rule:
    """The rule of a kind of memory; ``of_victim``: where there is no memory.stat."""

    def weighs(incident: Incident) -> int | None:
        stat = _stat(incident)
        return total(map(of_victim, killed(incident))) if stat is None else of_stat(stat)

    def says(incident: Incident) -> str | None:
        held = weighs(incident)
        share = percent(held, _usage(incident))
        if held is None or share is None or share < NOTABLE_PERCENT:
            return None
        if _stat(incident) is not None:
            return _share(incident, held, share) + what
        if share > 100:  # pages charged elsewhere, or shared: no share of this
            return f"{_name(incident)} had {size(held)} of {what}"
        return f"{share} % is {what} of {_name(incident)}"

    return Rule(name, says, advice, weighs)


def _share(incident: Incident, held: int, share: int) -> str:
    if share > 100:  # the two were not read at the same instant
        return f"{_about(incident)}{size(held)} is "
    return f"{_about(incident)}{share} % ({size(held)}) is "


def _anonymous(incident: Incident) -> str | None:
    """As any other kind, and how much of it those held that died."""
    words = ANONYMOUS.says(incident)
    stat = _stat(incident)
    died = total(victim.rss.anon_bytes for victim in killed(incident))
    if words is None or stat is None or died is None:
        return words
    share = percent(died, stat.anon_bytes)
    if share is None or share > 200 - OWNED_PERCENT:  # charged elsewhere, for the most part
        return words
    if share >= OWNED_PERCENT:
        return f"{words} of {_name(incident)}"
    return f"{words}, {size(died)} of it {_name(incident)}'s"


def _tmpfs(incident: Incident) -> str | None:
    words = TMPFS.says(incident)
    if words is None:
        return None
    volumes = "tmpfs mounts"
    if incident.scope == "pod" or incident.container.pod or incident.container.pod_uid:
        volumes = "memory-backed emptyDir volumes"
    return f"{words} (look at {volumes} and /dev/shm)"


def _kernel(incident: Incident) -> str | None:
    """Where no part of it says more."""
    return None if any(rule.says(incident) for rule in KERNEL_PARTS) else KERNEL.says(incident)


def _untold(incident: Incident) -> int | None:
    """What is left of the usage where memory.stat does not count the kernel's own memory."""
    stat, usage = _stat(incident), _usage(incident)
    if stat is None or stat.kernel_bytes is not None or usage is None:
        return None
    told = total((stat.anon_bytes, stat.file_bytes))
    if told is None:
        return None
    return max(0, min(usage, usage - told - (stat.sock_bytes or 0)))  # the numbers may be wrong


def _not_told_apart(incident: Incident) -> str | None:
    rest = _untold(incident)
    share = percent(rest, _usage(incident))
    if rest is None or share is None or share < NOTABLE_PERCENT:
        return None
    if any(rule.says(incident) for rule in KERNEL_PARTS):
        return None
    return (
        f"{_about(incident)}{share} % ({size(rest)}) is neither anonymous memory nor page cache, "
        "so it is apparently the kernel's own"
    )


def _little(incident: Incident) -> str | None:
    """All that is known without memory.stat: it was not those that died."""
    usage = _usage(incident)
    if _stat(incident) is not None or not usage:
        return None
    held = [rule.weighs(incident) for rule in (ANONYMOUS, TMPFS, PAGE_TABLES)]
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
    "anonymous memory",
    lambda stat: stat.anon_bytes,
    "Heap and stacks: compare with the settings that bound them (heap size, workers, caches); "
    "take a heap profile if it grows without end.",
    lambda victim: victim.rss.anon_bytes,
)
TMPFS = _kind(
    "tmpfs",
    "shared memory or tmpfs",
    lambda stat: stat.shmem_bytes,
    "Run df on tmpfs mounts, memory-backed emptyDir volumes and /dev/shm: files there are memory "
    "until they are deleted. Give them a sizeLimit. A restart alone may not free them.",
    lambda victim: victim.rss.shmem_bytes,
)
PAGE_TABLES = _kind(
    "page-tables",
    "page tables",
    lambda stat: stat.pagetables_bytes,
    "Look for many processes that map the same large memory, or sparse mappings; huge pages cost "
    "a fraction.",
    lambda victim: victim.pagetables_bytes,
)
KERNEL_PARTS = (
    _kind(
        "slab",
        "kernel objects (slab)",
        Stat.slab_bytes,
        "Look at slabtop on the node: many open files, directory entries, inotify watches or "
        "connections are kept in the kernel for it.",
    ),
    PAGE_TABLES,
    _kind(
        "kernel-stacks",
        "kernel stacks",
        lambda stat: stat.kernel_stack_bytes,
        "Count its threads: each has a stack of 16 KiB in the kernel, beside its own.",
    ),
)
KERNEL = _kind(
    "kernel-memory",
    "the kernel's own memory",
    lambda stat: stat.kernel_bytes,
    "Compare kernel, slab, percpu and vmalloc in its memory.stat; what waits in pipes is in none "
    "of these but kernel; BPF maps, cgroups and io_uring are charged too.",
)
MEMORY_KINDS = (
    Rule(ANONYMOUS.name, _anonymous, ANONYMOUS.advice, ANONYMOUS.weighs),
    Rule(TMPFS.name, _tmpfs, TMPFS.advice, TMPFS.weighs),
    _kind(
        "page-cache",
        "page cache that could not be reclaimed",
        Stat.cache_bytes,
        "Look for locked files (mlock, vmtouch) and for a disk too slow for what is written: "
        "dirty pages stay until they are on it.",
    ),
    *KERNEL_PARTS,
    Rule(KERNEL.name, _kernel, KERNEL.advice, KERNEL.weighs),
    _kind(
        "sockets",
        "socket buffers",
        lambda stat: stat.sock_bytes,
        "Look at ss -tmn in its network namespace: peers that read slowly, or many connections.",
    ),
    Rule(
        "not-told-apart",
        _not_told_apart,
        "This kernel does not count it in memory.stat: look at slabtop, and at pipes, page tables "
        "and BPF maps.",
        _untold,
    ),
    Rule("little", _little, "Look at memory.stat of the cgroup whose limit it was."),
)
