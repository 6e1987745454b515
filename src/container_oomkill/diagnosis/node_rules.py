# SPDX-License-Identifier: Apache-2.0
"""Whose the node's memory was, in words, where no cgroup's limit was the cause.

The numbers are of `node_shares`; who is told of is told with what to do about it.
"""

from __future__ import annotations

from ..incident.model import Incident
from ..units import size
from . import node_shares
from .node_shares import (
    FILES_PERCENT,
    HOST_PERCENT,
    REST_PERCENT,
    called,
    share_percent,
    whole_bytes,
)
from .rule import Rule

SHOWN = 3


def _holders(incident: Incident) -> str | None:
    """The largest, and how the victim compares."""
    rows, total = node_shares.rows(incident), whole_bytes(incident)
    if incident.scope != "node" or not rows or total is None:
        return None
    shown = [f"{called(row)} {size(held)}" for row, held in rows[:SHOWN]]
    first = rows[0]
    words = f"most of the node's {size(total)} was held by {', '.join(shown)}"
    if 2 * sum(held for _, held in rows[:SHOWN]) <= total:
        words = f"of the node's {size(total)} the largest shares were {', '.join(shown)}"
    place = node_shares.place_of_victim(incident)
    if place is None or place <= SHOWN:
        return words
    times = first[1] // max(1, rows[place - 1][1])
    more = f", {times} times as much as this one's" if times > 1 else ""
    return f"{words}{more}"


def _over_request(incident: Incident) -> str | None:
    """Who used how much more than is reserved for it: on the node, not on one of its nodes."""
    found = node_shares.over_request(incident)
    if not found or incident.scope != "node":
        return None
    row, over = found[0]
    request = row.container.memory_request_bytes or 0
    if not request:
        return f"{called(row)} used {size(over)} with no memory request"
    return f"{called(row)} used {size(over)} more than its request of {size(request)}"


def _requests(incident: Incident) -> str | None:
    found = node_shares.over_request(incident)[:SHOWN]
    if not found:
        return None
    raised = (
        f"{called(row)} from {_size_or_none(row.container.memory_request_bytes)} to"
        f" {size(row.usage_bytes or 0)}"
        for row, _ in found
    )
    return f"By what they used then: {', '.join(raised)}."


def _size_or_none(request: int | None) -> str:
    return size(request) if request else "none"


def _grew(incident: Incident) -> str | None:
    found = node_shares.grown_most(incident)
    if found is None:
        return None
    row, grew, when = found
    return f"{called(row)} grew by {size(grew)} in the last {when}"


def _host(incident: Incident) -> str | None:
    held = node_shares.host_bytes(incident)
    share = share_percent(held, incident)
    if incident.scope != "node" or held is None or share is None or share < HOST_PERCENT:
        return None
    largest = node_shares.largest_of_host(incident)
    of = "" if largest is None else f", {called(largest)} {size(largest.usage_bytes or 0)} of it"
    return f"{share} % ({size(held)}) was the host's own, in no container{of}"


def _reserve(incident: Incident) -> str | None:
    held = node_shares.host_bytes(incident)
    return None if held is None else f"At this kill that was {size(held)}."


def _removed(incident: Incident) -> str | None:
    memory = incident.node_memory
    share = None if memory is None else share_percent(memory.gone_bytes, incident)
    if memory is None or memory.gone_bytes is None or share is None or share < REST_PERCENT:
        return None
    return f"{size(memory.gone_bytes)} is still charged to cgroups that were removed"


def _kernel(incident: Incident) -> str | None:
    found = node_shares.kernel_kind(incident)
    if found is None:
        return None
    kind, held, share = found
    return f"{share} % of the node ({size(held)}) was {kind}"


OF_KIND = {  # where to look for what slabtop does not show
    node_shares.PAGE_TABLES: "Page tables: VmPTE in /proc/*/status says whose; huge pages need "
    "next to none.",
    node_shares.VMALLOC: "vmalloc: /proc/vmallocinfo says whose.",
    node_shares.COMPRESSED: "Compressed pages: less of them by zswap's max_pool_percent, or by a "
    "smaller disksize of zram.",
}


def _of_kind(incident: Incident) -> str | None:
    found = node_shares.kernel_kind(incident)
    return None if found is None else OF_KIND.get(found[0])


def _tmpfs(incident: Incident) -> str | None:
    memory = incident.node_memory
    held = None if memory is None else memory.shmem_bytes
    share = share_percent(held, incident)
    if incident.scope != "node" or held is None or share is None or share < FILES_PERCENT:
        return None
    return f"{share} % of the node ({size(held)}) was shared memory and files in tmpfs"


def _page_cache(incident: Incident) -> str | None:
    """Nothing is killed for want of memory that page cache has, unless it is not to be had."""
    memory = incident.node_memory
    if memory is None or memory.file_bytes is None or memory.shmem_bytes is None:
        return None
    held = memory.file_bytes - memory.shmem_bytes
    share = share_percent(held, incident)
    if incident.scope != "node" or share is None or share < FILES_PERCENT:
        return None
    return f"{share} % of the node ({size(held)}) was page cache that the kernel did not get back"


def _huge_pages(incident: Incident) -> str | None:
    memory = incident.node_memory
    held = None if memory is None else memory.hugetlb_bytes
    share = share_percent(held, incident)
    if held is None or share is None or share < REST_PERCENT:
        return None
    return f"{share} % of the node ({size(held)}) was set aside for huge pages, used or not"


def _unaccounted(incident: Incident) -> str | None:
    memory = incident.node_memory
    held = None if memory is None else memory.unaccounted_bytes
    share = share_percent(held, incident)
    if held is None or share is None or share < REST_PERCENT:
        return None
    return f"{size(held)} is in no counter of the kernel, and charged to nobody: drivers have it"


def _free_elsewhere(incident: Incident) -> str | None:
    found = node_shares.free_elsewhere(incident)
    return None if found is None else f"{size(found[1])} was free, but {found[0]}"


NODE_RULES = (
    Rule(
        "free-elsewhere",
        _free_elsewhere,
        "Look at /proc/zoneinfo and /proc/buddyinfo: free memory of another node, of another zone, "
        "in smaller pieces or held back (vm.lowmem_reserve_ratio, vm.min_free_kbytes) is of no use "
        "to who asked.",
    ),
    Rule(
        "node-holders",
        _holders,
        "Look at the largest first: whether its use is what was planned for it, by its request and "
        "its limit.",
    ),
    Rule(
        "over-request",
        _over_request,
        "Raise the memory requests to what is used, so that the scheduler puts fewer pods on the "
        "node.",
        numbers=_requests,
    ),
    Rule(
        "node-grew",
        _grew,
        "Look at what grew: a limit of its own would have ended it before the node was full.",
    ),
    Rule(
        "host-share",
        _host,
        "Reserve what the host itself needs: systemReserved and kubeReserved of the kubelet, and "
        "an evictionHard threshold of memory.available above it; or find which service grew.",
        numbers=_reserve,
    ),
    Rule(
        "removed-cgroups",
        _removed,
        "Look for files in tmpfs and memory-backed volumes that nobody uses any more (df -t tmpfs):"
        " what a removed container wrote stays.",
    ),
    Rule(
        "node-kernel",
        _kernel,
        "Look at slabtop, and at who makes the kernel hold that: open files, names and inodes, "
        "connections, processes.",
        numbers=_of_kind,
    ),
    Rule(
        "node-tmpfs",
        _tmpfs,
        "Look at df -t tmpfs and at volumes with medium: Memory: a file there is memory until it "
        "is deleted. Give them a size: sizeLimit, or size= of the mount.",
    ),
    Rule(
        "node-page-cache",
        _page_cache,
        "Look for what keeps page cache: memory.min and memory.low, which protect more than is "
        "needed; files that are locked (mlock); dirty pages that a slow disk does not take "
        "(vm.dirty_bytes).",
    ),
    Rule(
        "node-huge-pages",
        _huge_pages,
        "Lower vm.nr_hugepages, or hugepages= on the kernel's command line: nothing else may use "
        "that memory.",
    ),
    Rule(
        "unaccounted",
        _unaccounted,
        "Look at drivers: GPU and DMA buffers, packet rings (AF_PACKET, XDP), RDMA, a virtual "
        "machine's balloon. No cgroup's limit stops them.",
    ),
)
