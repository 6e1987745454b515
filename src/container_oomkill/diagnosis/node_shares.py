# SPDX-License-Identifier: Apache-2.0
"""Takes an incident with the node's memory, gives who held how much of it, and what was free."""

from __future__ import annotations

from collections.abc import Iterator

from ..identity.metadata import SANDBOX
from ..incident.model import Incident
from ..incident.node_memory import NumaNode, Share, Zone
from .below import MOSTLY_PERCENT, percent, short

HOST_PERCENT = 25  # of the node, for what no container has
REST_PERCENT = 10  # of the node, for what is nobody's
KERNEL_PERCENT = 25
OVER_PERCENT = 5  # of the node, beyond a request
GREW_PERCENT = 5
FREE_PERCENT = 5
FILES_PERCENT = 25  # of the node, for tmpfs and for page cache

# Kinds of the kernel's own memory that slabtop does not show
PAGE_TABLES = "page tables"
VMALLOC = "vmalloc memory, kernel stacks included"
COMPRESSED = "compressed pages (zswap, zram)"


def whole_bytes(incident: Incident) -> int | None:
    """The node's memory, without swap."""
    return None if incident.node_memory is None else incident.node_memory.total_bytes


def share_percent(bytes_: int | None, incident: Incident) -> int | None:
    """What part of the node that is; None where it is unknown, or cannot be."""
    share = percent(bytes_, whole_bytes(incident))
    return share if share is not None and share <= 100 else None


def rows(incident: Incident) -> list[tuple[Share, int]]:
    """Who was charged with how much, largest first; a pod's sandbox is nobody."""
    memory = incident.node_memory
    shares = (memory.cgroups if memory is not None else None) or ()
    return [
        (row, row.usage_bytes)
        for row in shares
        if row.usage_bytes and row.container.name != SANDBOX
    ]


def called(row: Share) -> str:
    """namespace/pod/container as far as they are known, else the id's start, or the cgroup's."""
    container = row.container
    known = [each for each in (container.namespace, container.pod, container.name) if each]
    if known:
        return "/".join(known)
    if container.id:
        return short(container.id)
    return (row.cgroup or "").rpartition("/")[2] or "a cgroup without a name"


def is_victims(incident: Incident, row: Share) -> bool:
    victim, container = incident.victims[0], incident.container
    if container.id is not None:
        return row.container.id == container.id
    return row.cgroup_id is not None and row.cgroup_id == victim.cgroup_id


def place_of_victim(incident: Incident) -> int | None:
    """Of the rows, which is the victim's, from 1; None: it is none of the largest."""
    places = (n for n, (row, _) in enumerate(rows(incident), 1) if is_victims(incident, row))
    return next(places, None)


def over_request(incident: Incident) -> list[tuple[Share, int]]:
    """Who used notably more than its request, and how much; the furthest over first."""
    found = []
    for row, held in rows(incident):
        request = row.container.memory_request_bytes
        share = None if request is None else share_percent(held - request, incident)
        if request is not None and share is not None and share >= OVER_PERCENT:
            found.append((row, held - request))
    return sorted(found, key=lambda each: each[1], reverse=True)


def grown_most(incident: Incident) -> tuple[Share, int, str] | None:
    """Who gained most in the last minute or, if nobody gained much then, in the last hour."""
    for when in ("minute", "hour"):
        grown = [(row, _grew(row, when)) for row, _ in rows(incident)]
        known = [(row, grew) for row, grew in grown if grew is not None]
        row, grew = max(known, key=lambda each: each[1], default=(None, 0))
        share = share_percent(grew, incident)
        if row is not None and share is not None and share >= GREW_PERCENT:
            return row, grew, when
    return None


def _grew(row: Share, when: str) -> int | None:
    return row.grew_minute_bytes if when == "minute" else row.grew_hour_bytes


def host_bytes(incident: Incident) -> int | None:
    """What is charged to cgroups that are no container."""
    return None if incident.node_memory is None else incident.node_memory.host_bytes


def largest_of_host(incident: Incident) -> Share | None:
    return next((row for row, _ in rows(incident) if row.container.id is None), None)


def kernel_kind(incident: Incident) -> tuple[str, int, int] | None:
    """What the kernel held for itself where that is notable: its words, bytes and percent."""
    memory = incident.node_memory
    if memory is None:
        return None
    kinds = (
        ("slab that cannot be reclaimed", memory.slab_unreclaimable_bytes),
        ("reclaimable slab", memory.slab_reclaimable_bytes),
        (PAGE_TABLES, memory.pagetables_bytes),
        (VMALLOC, memory.vmalloc_bytes),
        ("per-CPU memory", memory.percpu_bytes),
        (COMPRESSED, memory.zswap_bytes),
        ("of drivers that can give it back", memory.misc_reclaimable_bytes),
        ("of a GPU", memory.gpu_bytes),
    )
    known = [(words, held) for words, held in kinds if held is not None]
    words, held = max(known, key=lambda each: each[1], default=("", 0))
    share = share_percent(held, incident)
    return (words, held, share) if share is not None and share >= KERNEL_PERCENT else None


def free_elsewhere(incident: Incident) -> tuple[str, int] | None:
    """Why who asked got none of what was free, and how much that was; None: little was free."""
    memory = incident.node_memory
    if memory is None or memory.free_bytes is None or not memory.nodes:
        return None
    share = share_percent(memory.free_bytes, incident)
    if share is None or share < FREE_PERCENT:
        return None
    reasons: dict[str, int] = {}
    for node, zone in _zones(memory.nodes):
        for words, free in _kept_from(incident, node, zone):
            reasons[words] = reasons.get(words, 0) + free
    words, free = max(reasons.items(), key=lambda each: each[1], default=("", 0))
    if 100 * free < MOSTLY_PERCENT * memory.free_bytes:
        return None  # no one reason explains it
    return words, free


def _zones(nodes: tuple[NumaNode, ...]) -> Iterator[tuple[NumaNode, Zone]]:
    for node in nodes:
        for zone in node.zones:
            yield node, zone


def _kept_from(incident: Incident, node: NumaNode, zone: Zone) -> Iterator[tuple[str, int]]:
    """Of one zone, what was free and of no use, by the reason."""
    free = zone.free_bytes or 0
    if node.allowed is False:
        yield "on memory nodes that it may not use", free
        return
    if zone.allowed is False:
        yield "in zones that such memory is not taken from", free
        return
    order = incident.oom.order
    if order and order > 0 and zone.free_fitting_bytes is not None:
        small = max(0, free - zone.free_fitting_bytes)
        yield f"in smaller pieces than were asked for (order {order})", small
        free -= small
    held = (zone.min_bytes or 0) + (zone.reserve_bytes or 0) + (zone.highatomic_bytes or 0)
    yield "held back for the kernel and for lower zones", min(free, held)
