# SPDX-License-Identifier: Apache-2.0
"""Holds what a record says of the node's memory against the kernel's log of the same kill."""

from __future__ import annotations

from typing import Any

from .cgroups import MIB, Cgroup
from .evidence import near
from .kernel_log import KernelLog

# Other CPUs go on: what they free and take while the log is written, and keep to themselves.
NOISE = 4 * MIB
OVERSHARE = 100  # of the node, a hundredth
KINDS = (
    *("free", "anon", "file", "unmapped", "slab_reclaimable", "slab_unreclaimable"),
    *("pagetables", "percpu", "hugetlb", "zswap", "misc_reclaimable", "unaccounted"),
)
LISTS = (
    *("active_anon", "inactive_anon", "isolated_anon", "active_file", "inactive_file"),
    *("isolated_file", "unevictable"),
)


def share(memory: dict[str, Any], cgroup: Cgroup) -> dict[str, Any]:
    """The row of a cgroup."""
    (found,) = [each for each in memory["cgroups"] if each["cgroup"] == cgroup.path]
    assert isinstance(found, dict)
    return found


def assert_adds_up(memory: dict[str, Any], log: KernelLog, *, taken: int = 0) -> None:
    """Each page is in one place, and the counters are those of the kernel's log.

    ``taken``: bytes that no counter of the kernel has, beside what little there always is.
    """
    total = memory["total_bytes"]
    held = [each["usage_bytes"] for each in memory["cgroups"]]
    charged = sum(held) + memory["other_cgroups_bytes"] + memory["gone_bytes"]
    assert abs(charged - memory["charged_bytes"]) <= total // OVERSHARE
    assert held == sorted(held, reverse=True)
    sums = sum(memory[f"{kind}_bytes"] or 0 for kind in KINDS)
    sums += max(memory["kernel_stack_bytes"], memory["vmalloc_bytes"])
    sums += memory["free_pcp_bytes"] or 0
    assert abs(sums - total) <= total // OVERSHARE
    assert taken <= memory["unaccounted_bytes"] <= taken + total // 20
    if log.memory:  # the kernel prints ten reports in five seconds
        assert_as_logged(memory, log.memory)


def assert_as_logged(memory: dict[str, Any], log: dict[str, int]) -> None:
    """Mem-Info: kind by kind within a little, and what users have within a hundredth of it all."""
    same = {
        "shmem_bytes": "shmem",
        "slab_reclaimable_bytes": "slab_reclaimable",
        "slab_unreclaimable_bytes": "slab_unreclaimable",
    }
    near("node_memory", memory, NOISE, **{ours: log[name] for ours, name in same.items()})
    tables = log["pagetables"] + log.get("sec_pagetables", 0)
    near("node_memory", memory, NOISE, pagetables_bytes=tables)
    # A CPU gives what is free on its own lists back at any time, and the other way round.
    free, free_in_log = memory["free_bytes"], log["free"]
    if memory["free_pcp_bytes"] is not None:
        # The log leaves out the memory nodes that could not be used (show_mem_node_skip()).
        zones = [zone for node in memory["nodes"] if node["allowed"] for zone in node["zones"]]
        free += sum(zone["free_pcp_bytes"] for zone in zones)
        free_in_log += log["free_pcp"]
    near("node_memory", {"free_bytes": free}, NOISE, free_bytes=free_in_log)
    assert memory["total_bytes"] == log["ram"] - log["reserved"]
    users = sum(memory[f"{kind}_bytes"] for kind in ("anon", "file", "unmapped"))
    assert abs(users - sum(log[name] for name in LISTS)) <= memory["total_bytes"] // OVERSHARE
