# SPDX-License-Identifier: Apache-2.0
"""Turns the kernel side's record of the node's memory into a `NodeMemory`: units to bytes.

What is counted for each memory node, or each zone, is added up. What a kernel does not count is
unknown in the sum as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..errors import RecordError
from ..units import NS
from .node_memory import KERNEL, NodeMemory, NumaNode, Share, Zone
from .path import path_text
from .wire import lib

KIB = 1 << 10
MASK_BITS = 64
INCOMPLETE = lib.OOMKILL_NODE_WALK_CUT | lib.OOMKILL_NODE_CPUS_UNREAD | lib.OOMKILL_NODE_NODES_CUT


def decode_node(raw: dict[str, Any], page_size: int) -> NodeMemory:
    """``raw``: from `wire.node`. Raises `RecordError` for a path that is not in the record."""
    pages = _Pages(page_size)
    nodes = raw["nodes"]
    zones = [zone for node in nodes for zone in node["zones"]]
    flags = raw["flags"]

    def of_nodes(name: str) -> int | None:
        return pages(_sum(node[name] for node in nodes))

    def of_zones(name: str) -> int | None:
        return pages(_sum(zone[name] for zone in zones))

    stacks = _sum(node["kernel_stack_kib"] for node in nodes)
    shares = _shares(raw, pages)
    cut = bool(flags & lib.OOMKILL_NODE_WALK_CUT)
    kept, gone = _sum(share["own_pages"] for share in raw["shares"]), raw["gone_pages"]
    others = raw["others_pages"]
    if cut:  # what was not looked at is charged all the same
        others = _less(raw["charged_pages"], (kept or 0) + (gone or 0))
    charged = raw["charged_pages"] is not None
    return _without_phantoms(
        NodeMemory(
            source=KERNEL,
            total_bytes=of_zones("managed_pages"),
            free_bytes=of_zones("free_pages"),
            free_pcp_bytes=of_zones("free_pcp_pages"),
            anon_bytes=of_nodes("anon_pages"),
            file_bytes=pages(_sum(map(_file, nodes))),
            shmem_bytes=of_nodes("shmem_pages"),
            unmapped_bytes=pages(_sum(map(_unmapped, nodes))),
            slab_reclaimable_bytes=of_nodes("slab_reclaimable_pages"),
            slab_unreclaimable_bytes=of_nodes("slab_unreclaimable_pages"),
            kernel_stack_bytes=possible(None if stacks is None else stacks * KIB),
            pagetables_bytes=pages(_pagetables(nodes, zones)),
            vmalloc_bytes=of_nodes("vmalloc_pages"),
            zswap_bytes=of_zones("zsmalloc_pages"),
            misc_reclaimable_bytes=of_nodes("misc_reclaimable_pages"),
            gpu_bytes=of_nodes("gpu_pages"),
            balloon_bytes=of_nodes("balloon_pages"),
            charged_bytes=pages(raw["charged_pages"]),
            charged_kernel_bytes=pages(raw["charged_kernel_pages"]),
            cgroups=shares if charged else None,
            other_cgroups_bytes=pages(others) if charged else None,
            other_cgroups=raw["others"] if charged and not cut else None,
            gone_bytes=pages(gone) if charged else None,
            nodes=tuple(_node(node, raw["allowed_nodes"], pages) for node in nodes),
            approximate=bool(flags & INCOMPLETE),
            read_seconds=None if raw["took_ns"] is None else raw["took_ns"] / NS,
        )
    )


def _without_phantoms(found: NodeMemory) -> NodeMemory:
    """Take off what is charged to removed cgroups and is not there any more.

    Kernel memory of a cgroup that was removed right below the root is the root's from then on, and
    obj_cgroup_uncharge_pages() takes nothing off the root's counter when it is freed. What
    processes and files have, and the root's own count of kernel memory, is all there can be.
    """
    users, kernel = found.users_bytes(), found.charged_kernel_bytes
    charged, gone = found.charged_bytes, found.gone_bytes
    if users is None or kernel is None or charged is None or gone is None:
        return found
    phantom = min(gone, max(0, charged - users - kernel))
    return replace(found, charged_bytes=charged - phantom, gone_bytes=gone - phantom)


class _Pages:
    """Pages to bytes; more than 64 bits can count is no number."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.unlimited = ((1 << 63) - 1) // size  # PAGE_COUNTER_MAX

    def __call__(self, pages: int | None) -> int | None:
        return possible(None if pages is None else pages * self._size)

    def limit(self, pages: int | None) -> int | None:
        return None if pages is None or pages >= self.unlimited else self(pages)


def possible(bytes_: int | None) -> int | None:
    """Nothing has more bytes than the kernel can count: then the number is a wrong one."""
    return None if bytes_ is None or bytes_ >= 1 << 62 else bytes_


def _sum(numbers: Iterable[int | None]) -> int | None:
    found = list(numbers)
    return None if None in found or not found else sum(filter(None, found))


def _less(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(0, one - other)


def _file(node: dict[str, Any]) -> int | None:
    """Without the swap cache, which kernels before 5.12 do not count by node."""
    return _less(node["file_pages"], node["swapcached_pages"] or 0)


def _unmapped(node: dict[str, Any]) -> int | None:
    """On the kernel's lists, but mapped by nobody and in no file."""
    file = _file(node)
    if file is None or node["anon_pages"] is None:
        return None
    return _less(node["lru_pages"], node["anon_pages"] + file)


def _pagetables(nodes: list[dict[str, Any]], zones: list[dict[str, Any]]) -> int | None:
    """Of nodes, with the secondary ones, where those are counted; of zones until 5.11."""
    of_nodes = _sum(node["pagetables_pages"] for node in nodes)
    if of_nodes is None:
        return _sum(zone["pagetables_pages"] for zone in zones)
    return of_nodes + sum(node["secondary_pagetables_pages"] or 0 for node in nodes)


def _shares(raw: dict[str, Any], pages: _Pages) -> tuple[Share, ...]:
    found = (_share(share, raw["strings"], pages) for share in raw["shares"])
    return tuple(sorted(found, key=lambda share: share.usage_bytes or 0, reverse=True))


def _share(raw: dict[str, Any], strings: bytes, pages: _Pages) -> Share:
    start, size = raw["path_offset"], raw["path_size"]
    if start + size > len(strings):
        raise RecordError(f"record of a node: path at {start}, {size} in {len(strings)} bytes")
    flags = raw["flags"] or 0
    v1 = flags & lib.OOMKILL_MEMCG_V1  # which has neither low nor min
    path = path_text(
        strings[start : start + size],
        cut=bool(flags & lib.OOMKILL_MEMCG_PATH_CUT),
        of="a node's cgroup",
    )
    usage = raw["usage_pages"]
    return Share(
        cgroup=path,
        cgroup_id=raw["id"],
        usage_bytes=pages(raw["own_pages"]),
        limit_bytes=pages.limit(raw["limit_pages"]),
        low_bytes=None if v1 else pages(raw["low_pages"]),
        min_bytes=None if v1 else pages(raw["min_pages"]),
        oom_score_adj=raw["oom_score_adj"],
        grew_minute_bytes=_grown(usage, raw["minute_ago_pages"], pages),
        grew_hour_bytes=_grown(usage, raw["hour_ago_pages"], pages),
    )


def _grown(now: int | None, then: int | None, pages: _Pages) -> int | None:
    one, other = pages(now), pages(then)
    return None if one is None or other is None else one - other


def _node(raw: dict[str, Any], allowed: int | None, pages: _Pages) -> NumaNode:
    zones = raw["zones"]
    number = raw["id"]
    known = allowed is not None and number is not None and number < MASK_BITS
    return NumaNode(
        number=number,
        allowed=bool(allowed >> number & 1) if known and allowed is not None else None,
        total_bytes=pages(_sum(zone["managed_pages"] for zone in zones)),
        free_bytes=pages(_sum(zone["free_pages"] for zone in zones)),
        anon_bytes=pages(raw["anon_pages"]),
        file_bytes=pages(_file(raw)),
        shmem_bytes=pages(raw["shmem_pages"]),
        slab_reclaimable_bytes=pages(raw["slab_reclaimable_pages"]),
        slab_unreclaimable_bytes=pages(raw["slab_unreclaimable_pages"]),
        zones=tuple(_zone(zone, pages) for zone in zones),
    )


def _zone(raw: dict[str, Any], pages: _Pages) -> Zone:
    return Zone(
        name=raw["name"].split(b"\0", 1)[0].decode("ascii", "backslashreplace") or None,
        allowed=None if raw["allowed"] is None else bool(raw["allowed"]),
        total_bytes=pages(raw["managed_pages"]),
        free_bytes=pages(raw["free_pages"]),
        free_pcp_bytes=pages(raw["free_pcp_pages"]),
        free_fitting_bytes=pages(raw["free_fitting_pages"]),
        free_cma_bytes=pages(raw["free_cma_pages"]),
        highatomic_bytes=pages(raw["highatomic_pages"]),
        min_bytes=pages(raw["min_pages"]),
        low_bytes=pages(raw["low_pages"]),
        high_bytes=pages(raw["high_pages"]),
        reserve_bytes=pages(raw["reserve_pages"]),
    )
