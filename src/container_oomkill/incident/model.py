# SPDX-License-Identifier: Apache-2.0
"""The `Incident`: frozen, in base units, no I/O.

The attribute names are the JSON keys (docs/record.md). ``None`` is unknown, never 0; for a limit it
also means that there is none. Later stages fill in `Incident.container` (identity),
`Incident.scope` and `Incident.verdict` (diagnosis).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from .before import Before
from .container import UNNAMED
from .container import Container as Container  # all of an incident is to be had from here
from .node_memory import NodeMemory
from .stack import Stack

# enum oom_constraint, include/linux/oom.h
CONSTRAINTS = {0: "none", 1: "cpuset", 2: "memory_policy", 3: "memcg"}


@dataclass(frozen=True, slots=True)
class Host:
    """What a record does not say of itself: where, and in what units."""

    node: str
    kernel: str
    page_size: int  # bytes
    clock_offset_ns: int  # CLOCK_REALTIME less CLOCK_BOOTTIME
    swappiness: int | None = None  # the node's, which is every cgroup v2's


@dataclass(frozen=True, slots=True)
class Stat:
    """Where a cgroup's memory was: its memory.stat, the cgroups below it included."""

    anon_bytes: int | None = None
    file_bytes: int | None = None  # page cache, shmem included
    shmem_bytes: int | None = None
    kernel_stack_bytes: int | None = None
    pagetables_bytes: int | None = None
    slab_reclaimable_bytes: int | None = None
    slab_unreclaimable_bytes: int | None = None
    sock_bytes: int | None = None
    kernel_bytes: int | None = None  # stacks, page tables and slab included, sock not
    zswap_bytes: int | None = None  # what compressed pages take, in kernel_bytes
    zswapped_bytes: int | None = None  # what those pages were before
    hugetlb_bytes: int | None = None  # counted where the kernel charges them
    vmalloc_bytes: int | None = None  # in kernel_bytes
    percpu_bytes: int | None = None  # in kernel_bytes
    pinned_bytes: int | None = None  # on the kernel's lists, mapped by nobody, in no file
    gone_bytes: int | None = None  # of the domain: charged by no living cgroup below it
    approximate: bool | None = None  # CPUs or cgroups below may hold more that was not added up

    def cache_bytes(self) -> int | None:
        """Return page cache without shmem, as a process's ``rss.file_bytes`` has it."""
        if self.file_bytes is None or self.shmem_bytes is None:
            return None
        return max(0, self.file_bytes - self.shmem_bytes)

    def slab_bytes(self) -> int | None:
        """Return all of slab, reclaimable or not."""
        if self.slab_reclaimable_bytes is None or self.slab_unreclaimable_bytes is None:
            return None
        return self.slab_reclaimable_bytes + self.slab_unreclaimable_bytes


@dataclass(frozen=True, slots=True)
class Child:
    """A cgroup right below the domain: of a pod, a container."""

    cgroup: str | None = None
    cgroup_id: int | None = None
    usage_bytes: int | None = None
    limit_bytes: int | None = None
    container: Container = UNNAMED


@dataclass(frozen=True, slots=True)
class Domain:
    """The cgroup whose limit was reached, at the instant of the kill."""

    cgroup: str | None = None
    cgroup_id: int | None = None
    usage_bytes: int | None = None
    limit_bytes: int | None = None
    low_bytes: int | None = None
    peak_bytes: int | None = None
    swap_usage_bytes: int | None = None
    swap_limit_bytes: int | None = None
    swappiness: int | None = None
    stat: Stat | None = None
    children: tuple[Child, ...] | None = None  # the largest, largest first


@dataclass(frozen=True, slots=True)
class Oom:
    """The kernel's struct oom_control: what was asked for, what was chosen."""

    constraint: str | None = None
    order: int | None = None  # of the allocation, log2 of pages; -1: asked for by sysrq
    gfp_mask: int | None = None
    total_bytes: int | None = None  # capacity of the domain, swap included
    points: int | None = None  # badness of the chosen task, pages
    group: bool | None = None  # memory.oom.group applied


@dataclass(frozen=True, slots=True)
class Trigger:
    """The task whose allocation failed, or that wrote a lower limit."""

    pid: int | None = None
    tid: int | None = None
    command: str | None = None
    cgroup: str | None = None
    container_id: str | None = None
    container: Container | None = None  # where it is another one's
    by: str | None = None  # what it was doing, of kernel_symbols.BY: filled in by `diagnosis`
    stack: Stack | None = None


@dataclass(frozen=True, slots=True)
class Rss:
    """Resident memory by kind."""

    anon_bytes: int | None = None
    file_bytes: int | None = None
    shmem_bytes: int | None = None

    def total_bytes(self) -> int | None:
        """Return their sum, as the kernel's get_mm_rss() has it."""
        if self.anon_bytes is None or self.file_bytes is None or self.shmem_bytes is None:
            return None
        return self.anon_bytes + self.file_bytes + self.shmem_bytes


@dataclass(frozen=True, slots=True)
class Vm:
    """Address space, reserved rather than used."""

    total_bytes: int | None = None
    data_bytes: int | None = None
    exec_bytes: int | None = None
    stack_bytes: int | None = None
    locked_bytes: int | None = None
    pinned_bytes: int | None = None
    hiwater_rss_bytes: int | None = None
    hiwater_vm_bytes: int | None = None
    task_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Victim:
    """A process the OOM killer sent SIGKILL."""

    pid: int | None = None
    tid: int | None = None  # the thread that was marked
    pid_in_container: int | None = None
    from_outside: bool | None = None  # came into its PID namespace from outside, as by `exec`
    ppid: int | None = None
    command: str | None = None
    parent_command: str | None = None
    cmdline: str | None = None
    uid: int | None = None
    cgroup: str | None = None
    cgroup_id: int | None = None
    usage_bytes: int | None = None  # of that cgroup
    limit_bytes: int | None = None  # of that cgroup
    stat: Stat | None = None  # of that cgroup, where it is not the domain
    oom_score_adj: int | None = None
    points: int | None = None
    rss: Rss = Rss()
    swap_bytes: int | None = None
    pagetables_bytes: int | None = None
    vm: Vm = Vm()
    threads: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    flags: int | None = None  # PF_*, include/linux/sched.h
    priority: int | None = None
    static_priority: int | None = None
    user_seconds: float | None = None
    system_seconds: float | None = None
    guest_seconds: float | None = None
    started_at: float | None = None  # seconds since the epoch
    uptime_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class UnlistedIn:
    """How many of the victims that are not listed were in one cgroup."""

    cgroup_id: int | None = None  # None: in others, where there are too many, or unknown
    victims: int = 0


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Further victims of a group, each no larger than those that are listed; sizes are sums."""

    victims: int = 0
    rss: Rss = Rss()
    swap_bytes: int | None = None
    pagetables_bytes: int | None = None
    cgroups: tuple[UnlistedIn, ...] = ()  # most first


@dataclass(frozen=True, slots=True)
class Candidate:
    """A process the kernel looked at and did not choose."""

    pid: int | None = None
    command: str | None = None
    rss_bytes: int | None = None
    oom_score_adj: int | None = None
    points: int | None = None  # badness, pages
    cgroup_id: int | None = None  # of the domain's child that it is in
    container: str | None = None  # that child's name


@dataclass(frozen=True, slots=True)
class Incident:
    """One decision of the OOM killer and all it killed; ``victims[0]`` is the one it chose."""

    time: float  # seconds since the epoch, from the kernel's clock
    boot_ns: int
    sequence: int
    node: str
    kernel: str
    hook: str
    scope: str | None
    inferred: bool  # domain and scope were inferred from usage, not given by the kernel
    message: str | None
    verdict: str | None
    container: Container
    domain: Domain | None  # None: the node's memory ran out, or unknown
    oom: Oom
    trigger: Trigger
    victims: tuple[Victim, ...]
    candidates: tuple[Candidate, ...] | None = None  # the largest others, largest first
    before: Before | None = None  # what memory did before; None: the flight recorder has not run
    node_memory: NodeMemory | None = None  # where no cgroup's limit was the cause
    unlisted: Unlisted | None = None  # of a group, the victims that the list leaves out; None: none

    @property
    def kills(self) -> int:
        """How many processes it killed, those that are not listed included."""
        return len(self.victims) + (max(0, self.unlisted.victims) if self.unlisted else 0)

    @property
    def id(self) -> str:
        """Its permanent name: when it was, since boot, and its number: ``1dcd6500-3``.

        From what no later stage, no restart and no setting of the clock changes. Two boots of one
        node would have to kill at the same nanosecond after their start to share one.
        """
        return f"{self.boot_ns:x}-{self.sequence}"

    def changed(self, **fields: Any) -> Incident:
        """Return a copy with other fields; dataclasses.replace, but for every kill's way."""
        values = {name: getattr(self, name) for name in _INCIDENT_FIELDS}
        return Incident(**(values | fields))


_INCIDENT_FIELDS = tuple(field.name for field in fields(Incident))
