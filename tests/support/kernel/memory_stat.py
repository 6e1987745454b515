# SPDX-License-Identifier: Apache-2.0
"""Takes a record's stat and the kernel's log, gives their agreement or an assertion."""

from __future__ import annotations

import os
import platform
from typing import Any

from .cgroups import is_v1
from .evidence import near
from .kernel_log import KernelLog, Report

VERSION = tuple(int(part) for part in platform.release().split(".")[:2])
# The kernel's names for what is a total here.
NAMES = {
    "anon_bytes": "anon",
    "file_bytes": "file",
    "shmem_bytes": "shmem",
    "kernel_stack_bytes": "kernel_stack",
    "pagetables_bytes": "pagetables",
    "slab_reclaimable_bytes": "slab_reclaimable",
    "slab_unreclaimable_bytes": "slab_unreclaimable",
    "sock_bytes": "sock",
    "kernel_bytes": "kernel",
    "zswap_bytes": "zswap",
    "zswapped_bytes": "zswapped",
    "hugetlb_bytes": "hugetlb",
    "vmalloc_bytes": "vmalloc",
    "percpu_bytes": "percpu",
}
if is_v1():
    del NAMES["kernel_bytes"]  # the record has it from a counter that is on v1 only
# Newer kernels have these in the log of a cgroup v1, and of the rest nothing.
V1_NAMES = {
    "anon_bytes": "total_rss",
    "file_bytes": "total_cache",
    "shmem_bytes": "total_shmem",
}
# Pages each CPU may have charged in advance (MEMCG_CHARGE_BATCH).
BATCH_BYTES = 64 * (os.cpu_count() or 1) * os.sysconf("SC_PAGE_SIZE")
# What the numbers in the log may lack: from v5.18 the kernel brings them up to date only if that
# many changed, and each CPU tells of its changes once there are as many (memcg_rstat_updated()).
BEHIND_BYTES = 2 * BATCH_BYTES if VERSION >= (5, 18) else 0
# Before 5.19 the record lacks what each CPU still keeps to itself, and says so.
LACKING_BYTES = BATCH_BYTES if VERSION < (5, 19) else 0


def assert_stat_agrees(
    stat: dict[str, Any], kernel_log: KernelLog, path: str, *, sock_moved: int = 0
) -> None:
    """Every number the log has of this domain is the record's, and what it has not is unknown.

    ``sock_moved``: bytes of sockets that come and go between the log and the record.
    """
    logged = kernel_log.stats.get(path)
    if logged is None:  # it is printed ten times in 5 seconds
        return
    if stat["approximate"] and VERSION >= (5, 19):  # see assert_adds_up()
        return
    names = V1_NAMES if "total_rss" in logged else NAMES
    error = BEHIND_BYTES + lost_bytes(stat, logged, kernel_log.report)
    for ours, theirs in names.items():
        if theirs in logged:
            moved = sock_moved if ours == "sock_bytes" else 0
            near("domain.stat", stat, error + moved, **{ours: logged[theirs]})
        elif ours == "hugetlb_bytes":  # counted, but shown only where it is charged
            assert stat[ours] in (None, 0)
        else:
            assert stat[ours] is None, ours


def lost_bytes(stat: dict[str, Any], logged: dict[str, int], report: Report | None) -> int:
    """Return how much more the record has than the log, where the log's own usage has it too.

    Where a child changes while its parent is being brought up to date, the child may count as
    changed and its parent not; later changes stop at the child (memcg_rstat_updated()), and the
    next log's numbers are not brought up to date. Seen on 7.3: 4.2 MiB of 48. Usage is exact.
    """
    if not BEHIND_BYTES or report is None or report.usage is None or "kernel" not in logged:
        return 0
    kinds = ("anon", "file", "kernel", "sock", "hugetlb")
    recorded = sum(stat[f"{kind}_bytes"] or 0 for kind in kinds)
    return max(0, min(recorded, report.usage) - sum(logged.get(kind, 0) for kind in kinds))


# Of each record so far: where the kernel brought its numbers up to date while they were read, as it
# does every two seconds, the record says so. By chance that is not twice running.
approximate: list[bool] = []


def assert_adds_up(record: dict[str, Any], *more: str, cgroups: int = 1, moved: int = 0) -> None:
    """The kinds add up to the usage, which is always exact, but for what was charged ahead.

    ``more``: kinds of which there is nothing but in a test of their own; ``cgroups``: how many have
    memory, the domain included; ``moved``: bytes that come and go between the reading of the usage
    and that of the kinds.
    """
    domain, stat = record["domain"], record["domain"]["stat"]
    if VERSION < (5, 19):
        assert stat["approximate"] is True
        return
    approximate.append(stat["approximate"])
    if stat["approximate"]:
        assert approximate[-2:] != [True, True]
        return
    kinds = sum(stat[f"{kind}_bytes"] for kind in ("anon", "file", "kernel", "sock", *more))
    ahead = domain["usage_bytes"] - kinds
    # Since v6.16 a CPU charges ahead for up to seven cgroups (NR_MEMCG_STOCK), and not for one.
    most = BATCH_BYTES * (cgroups if VERSION >= (6, 16) else 1)
    assert -moved <= ahead <= most + moved, f"{ahead} of {domain['usage_bytes']}"
