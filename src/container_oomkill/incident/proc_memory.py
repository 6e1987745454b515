# SPDX-License-Identifier: Apache-2.0
"""Adds to a node's memory what only /proc/meminfo has, or all of it where the kernel side had none.

Read as soon as the record is here, usually milliseconds after the kill; on a node without memory
it may take seconds until we run. Swap, the pools of huge pages, vmalloc and per-CPU memory change
little in that time, and no hook finds them without the kernel's symbols. The rest is read only
while it still says something of the kill: what the victim had may be free by then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..units import NS
from .model import Incident
from .node_memory import PROC, NodeMemory, with_rest

LATEST_SECONDS = 2.0
SLOW_LATEST_SECONDS = 30.0  # of what changes little
MEMINFO = "/proc/meminfo"
NO_CGROUP = ("none", "cpuset", "memory_policy")  # constraints
SYSRQ_ORDER = -1
KIB = 1 << 10


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class ProcMemory:
    """Completes incidents that no cgroup's limit caused; of a group once, with its first victim."""

    def __init__(self, path: str = MEMINFO, *, boot_ns: Callable[[], int] = _boot_ns) -> None:
        self._path = path
        self._boot_ns = boot_ns
        self._last: tuple[int, int] | None = None

    def __call__(self, incident: Incident) -> Incident:
        """Return ``incident`` with what could be read."""
        this = (incident.boot_ns, incident.sequence)
        if this == self._last or not is_the_nodes(incident):
            return incident
        self._last = this
        found = incident.node_memory
        since = (self._boot_ns() - incident.boot_ns) / NS
        latest = LATEST_SECONDS if found is None else SLOW_LATEST_SECONDS
        read = read_meminfo(self._path) if 0 <= since <= latest else {}
        if not read:
            return incident
        more = _more(read)
        if found is None:
            found = replace(_all(read), source=PROC)
        known: dict[str, Any] = {
            name: each for name, each in more.items() if getattr(found, name) is None
        }
        found = replace(found, **known, read_after_seconds=round(since, 6))
        return incident.changed(node_memory=with_rest(found))


def is_the_nodes(incident: Incident) -> bool:
    """Whether no cgroup's limit was the cause, nor somebody's sysrq-f."""
    if incident.node_memory is not None:
        return True
    oom = incident.oom
    return incident.domain is None and oom.constraint in NO_CGROUP and oom.order != SYSRQ_ORDER


def read_meminfo(path: str = MEMINFO) -> dict[str, int]:
    """Return bytes by name; nothing where it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(file, 1 << 16).decode("ascii", "replace")
        finally:
            os.close(file)
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if unit == "kB" and number.isdecimal():
            found[name] = int(number) * KIB
    return found


def _more(read: Mapping[str, int]) -> dict[str, int | None]:
    """What no counter has that the kernel side can find."""
    return {
        "percpu_bytes": read.get("Percpu"),
        "vmalloc_bytes": read.get("VmallocUsed"),
        "hugetlb_bytes": read.get("Hugetlb", 0),  # a kernel without them has no such line
        "zswap_bytes": read.get("Zswap"),
        "swap_total_bytes": read.get("SwapTotal"),
        "swap_free_bytes": read.get("SwapFree"),
    }


def _all(read: Mapping[str, int]) -> NodeMemory:
    """In the names of fs/proc/meminfo.c; its Cached has shmem and is without the swap cache."""
    cached, buffers = read.get("Cached"), read.get("Buffers")
    tables = read.get("PageTables")
    return NodeMemory(
        total_bytes=read.get("MemTotal"),
        free_bytes=read.get("MemFree"),
        anon_bytes=read.get("AnonPages"),
        file_bytes=None if cached is None or buffers is None else cached + buffers,
        shmem_bytes=read.get("Shmem"),
        slab_reclaimable_bytes=read.get("SReclaimable"),
        slab_unreclaimable_bytes=read.get("SUnreclaim"),
        kernel_stack_bytes=read.get("KernelStack"),
        pagetables_bytes=None if tables is None else tables + read.get("SecPageTables", 0),
    )
