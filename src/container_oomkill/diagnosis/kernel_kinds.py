# SPDX-License-Identifier: Apache-2.0
"""The kernel's own memory, in words: each part of it that is a quarter, and what else there is."""

from __future__ import annotations

from dataclasses import replace

from ..incident.model import Incident
from ..units import size
from .below import percent
from .breakdown import Breakdown
from .kind_rule import KindRule, kind_rule, notable

NEARLY_PERCENT = 90


def _slab(incident: Incident, breakdown: Breakdown) -> str | None:
    """As any other kind, and whether the kernel could have dropped it."""
    words = SLAB.says(incident, breakdown)
    whole, bound = SLAB.weighs(breakdown), breakdown.bytes_of("slab_unreclaimable")
    share = percent(bound, whole)
    if words is None or bound is None or share is None:
        return words
    if share >= NEARLY_PERCENT:
        return f"{words}, nearly all unreclaimable"
    if share <= 100 - NEARLY_PERCENT:
        return f"{words}, nearly all reclaimable"
    return f"{words}, {size(bound)} of it unreclaimable"


def _zswap(incident: Incident, breakdown: Breakdown) -> str | None:
    """As any other kind, and how much heap that was before."""
    words = ZSWAP.says(incident, breakdown)
    stat = None if incident.domain is None else incident.domain.stat
    before = None if stat is None else stat.zswapped_bytes
    if words is None or not before:
        return words
    return f"{words}, {size(before)} before it was compressed"


def _spoken(incident: Incident, breakdown: Breakdown) -> int | None:
    """Bytes of the parts that have words of their own; None where none has."""
    told = [kind.weighs(breakdown) for kind in KERNEL_PARTS if kind.says(incident, breakdown)]
    return sum(filter(None, told)) if told else None


def _kernel(incident: Incident, breakdown: Breakdown) -> str | None:
    """Where it is counted as a whole, and no part of it says more."""
    if not breakdown.counts_kernel or _spoken(incident, breakdown) is not None:
        return None
    return KERNEL.says(incident, breakdown)


def untold(breakdown: Breakdown) -> int | None:
    """The kernel's own memory and the rest, where memory.stat does not tell the two apart."""
    known = None not in map(breakdown.bytes_of, ("anon", "file", "shmem"))
    if not breakdown.of_all or breakdown.counts_kernel or not known:
        return None
    return (breakdown.bytes_of("kernel") or 0) + (breakdown.bytes_of("rest") or 0)


def _not_told_apart(incident: Incident, breakdown: Breakdown) -> str | None:
    words = notable(breakdown, untold(breakdown))
    if words is None or _spoken(incident, breakdown) is not None:
        return None
    return f"{words}neither anonymous memory nor page cache, so it is apparently the kernel's own"


def _other_kernel(incident: Incident, breakdown: Breakdown) -> str | None:
    """What is left of it beside the parts that have words of their own."""
    told = _spoken(incident, breakdown)
    if told is None:
        return None
    counted = breakdown.counts_kernel
    whole = breakdown.bytes_of("kernel") if counted else untold(breakdown)
    words = None if whole is None else notable(breakdown, whole - told)
    if words is None:
        return None
    return f"{words}{'other' if counted else 'apparently other'} memory of the kernel's own"


def _other_bytes(breakdown: Breakdown) -> int | None:
    kernel = breakdown.bytes_of("kernel") if breakdown.counts_kernel else untold(breakdown)
    large = [kind.weighs(breakdown) or 0 for kind in KERNEL_PARTS]
    told = [each for each in large if notable(breakdown, each)]
    return None if kernel is None else kernel - sum(told)


SLAB = kind_rule(
    "slab",
    "slab",
    "kernel objects (slab)",
    "Look at slabtop on the node. Unreclaimable: open files, inotify watches, connections, "
    "processes. Reclaimable: names and inodes of files, which the kernel drops late where it "
    "walks or writes very many; raise vm.vfs_cache_pressure.",
)
ZSWAP = kind_rule(
    "zswap",
    "zswap",
    "zswap: heap that the kernel has compressed",
    "It is the program's heap: find what grew. memory.zswap.max bounds it, where there is swap "
    "on a disk to take the rest.",
)
PAGE_TABLES = kind_rule(
    "page-tables",
    "page_tables",
    "page tables",
    "Look for many processes that map the same large memory, or sparse mappings; huge pages cost "
    "a fraction.",
)
KERNEL_PARTS = (
    replace(SLAB, says=_slab),
    PAGE_TABLES,
    kind_rule(
        "kernel-stacks",
        "kernel_stacks",
        "kernel stacks",
        "Count its threads: each has a stack of 16 KiB in the kernel, beside its own.",
    ),
    kind_rule(
        "vmalloc",
        "vmalloc",
        "memory of the kernel's vmalloc",
        "Look at /proc/vmallocinfo on the node: BPF programs and maps, firewall tables and module "
        "buffers are there.",
    ),
    kind_rule(
        "per-cpu-memory",
        "percpu",
        "per-CPU memory of the kernel",
        "Count what has a part for each CPU: BPF maps (per-CPU ones), cgroups, network "
        "namespaces. It grows with the node's CPUs.",
    ),
    replace(ZSWAP, says=_zswap),
)
KERNEL = kind_rule(
    "kernel-memory",
    "kernel",
    "the kernel's own memory",
    "Compare kernel, slab, percpu and vmalloc in its memory.stat; what waits in pipes is in none "
    "of these but kernel; BPF maps, cgroups and io_uring are charged too.",
)
KERNEL_KINDS = (
    *KERNEL_PARTS,
    replace(KERNEL, says=_kernel),
    KindRule(
        "other-kernel-memory",
        _other_kernel,
        _other_bytes,
        "Compare kernel with its parts in memory.stat: what waits in pipes, BPF maps, io_uring.",
        ("kernel", "rest"),
    ),
)
NOT_TOLD_APART = KindRule(
    "not-told-apart",
    _not_told_apart,
    untold,
    "This kernel does not count it in memory.stat: look at slabtop, and at pipes, page tables "
    "and BPF maps.",
    ("kernel", "rest"),
)
