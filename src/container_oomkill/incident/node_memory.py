# SPDX-License-Identifier: Apache-2.0
"""Whose the node's memory was where no cgroup's limit was the cause: a part of the `Incident`.

The attribute names are the JSON keys (docs/record.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .container import UNNAMED, Container

KERNEL = "kernel"  # read in the kernel, at the kill
PROC = "proc"  # read from /proc, right after it


@dataclass(frozen=True, slots=True)
class Share:
    """A memory cgroup, or a container with all the cgroups in it.

    ``usage_bytes``: what is charged to it and to no other row, so that rows add up.
    """

    cgroup: str | None = None
    cgroup_id: int | None = None
    usage_bytes: int | None = None
    limit_bytes: int | None = None
    low_bytes: int | None = None  # memory.low
    min_bytes: int | None = None  # memory.min
    oom_score_adj: int | None = None  # of the process that came into it first
    grew_minute_bytes: int | None = None  # in the last minute; negative: it shrank
    grew_hour_bytes: int | None = None
    container: Container = UNNAMED


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of a memory node: what an allocation of this order and kind found there."""

    name: str | None = None
    allowed: bool | None = None  # it may take memory there
    total_bytes: int | None = None
    free_bytes: int | None = None
    free_pcp_bytes: int | None = None  # on the lists of the CPUs, not in free_bytes
    free_fitting_bytes: int | None = None  # free in pieces as large as the one asked for
    free_cma_bytes: int | None = None  # of what is free, for movable memory only
    highatomic_bytes: int | None = None  # reserved for allocations that cannot wait
    min_bytes: int | None = None  # watermarks, boost included
    low_bytes: int | None = None
    high_bytes: int | None = None
    reserve_bytes: int | None = None  # lowmem_reserve: it must leave so much on top of min


@dataclass(frozen=True, slots=True)
class NumaNode:
    """A memory node."""

    number: int | None = None
    allowed: bool | None = None  # by the cpuset or the memory policy of who asked
    total_bytes: int | None = None
    free_bytes: int | None = None
    anon_bytes: int | None = None
    file_bytes: int | None = None
    shmem_bytes: int | None = None
    slab_reclaimable_bytes: int | None = None
    slab_unreclaimable_bytes: int | None = None
    zones: tuple[Zone, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """The node's memory; what `cgroups`, `other_cgroups_bytes` and `gone_bytes` have is charged."""

    source: str | None = None  # `KERNEL` or `PROC`
    total_bytes: int | None = None
    free_bytes: int | None = None
    free_pcp_bytes: int | None = None  # on the lists of the CPUs, not in free_bytes
    anon_bytes: int | None = None
    file_bytes: int | None = None  # page cache, shmem included, swap cache not
    shmem_bytes: int | None = None
    unmapped_bytes: int | None = None  # swap cache, and pages that are pinned and mapped by nobody
    slab_reclaimable_bytes: int | None = None
    slab_unreclaimable_bytes: int | None = None
    kernel_stack_bytes: int | None = None
    pagetables_bytes: int | None = None  # those of guests and of the IOMMU included
    percpu_bytes: int | None = None
    vmalloc_bytes: int | None = None  # kernel stacks included
    hugetlb_bytes: int | None = None  # the pools of huge pages, used or not
    zswap_bytes: int | None = None  # what compressed pages take: zsmalloc's, zram's included
    misc_reclaimable_bytes: int | None = None  # drivers' that can be given back
    gpu_bytes: int | None = None
    balloon_bytes: int | None = None  # taken back by the hypervisor
    unaccounted_bytes: int | None = None  # what no counter has: drivers, rings, DMA buffers
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    charged_bytes: int | None = None  # to cgroups, all together
    charged_kernel_bytes: int | None = None  # of that, kernel memory
    host_bytes: int | None = None  # of `cgroups`, those that are no container
    cgroups: tuple[Share, ...] | None = None  # the largest, largest first
    other_cgroups_bytes: int | None = None
    other_cgroups: int | None = None  # how many those are
    gone_bytes: int | None = None  # charged to cgroups that were removed
    nodes: tuple[NumaNode, ...] | None = None
    approximate: bool | None = None  # more CPUs, nodes or cgroups than were read
    read_seconds: float | None = None  # how long the kernel side took
    read_after_seconds: float | None = None  # after the kill, what is from /proc

    def used_bytes(self) -> int | None:
        """Return what is not free."""
        if self.total_bytes is None or self.free_bytes is None:
            return None
        return self.total_bytes - self.free_bytes - (self.free_pcp_bytes or 0)

    def users_bytes(self) -> int | None:
        """Return what processes and files have: all but the kernel's own."""
        if self.anon_bytes is None or self.file_bytes is None:
            return None
        return self.anon_bytes + self.file_bytes + (self.unmapped_bytes or 0)

    def kernel_bytes(self) -> int | None:
        """Return what the kernel has for itself, by the counters there are."""
        if self.slab_reclaimable_bytes is None or self.slab_unreclaimable_bytes is None:
            return None
        stacks = self.kernel_stack_bytes or 0
        more = (
            self.pagetables_bytes,
            self.percpu_bytes,
            self.zswap_bytes,
            self.misc_reclaimable_bytes,
            self.gpu_bytes,
        )
        return (
            self.slab_reclaimable_bytes
            + self.slab_unreclaimable_bytes
            + max(stacks, self.vmalloc_bytes or 0)  # stacks are vmalloc's (CONFIG_VMAP_STACK)
            + sum(each or 0 for each in more)
        )

    def uncharged_bytes(self) -> int | None:
        """Return what is in use and charged to no cgroup."""
        used = self.used_bytes()
        if used is None or self.charged_bytes is None:
            return None
        return max(0, used - self.charged_bytes)


def with_rest(found: NodeMemory) -> NodeMemory:
    """Return it with what none of its counters has, as far as that can be said."""
    used, users, kernel = found.used_bytes(), found.users_bytes(), found.kernel_bytes()
    pools = found.hugetlb_bytes
    if used is None or users is None or kernel is None or pools is None:
        return found
    rest = used - users - kernel - pools
    return replace(found, unaccounted_bytes=max(0, rest))
