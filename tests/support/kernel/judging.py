# SPDX-License-Identifier: Apache-2.0
"""Compares a record with the kernel's log of the same kill; an assertion fails if they disagree."""

from __future__ import annotations

import os
from typing import Any

from .evidence import exact, near
from .kernel_log import Killed, Report
from .processes import Recorder

# What each CPU may have charged in advance (MEMCG_CHARGE_BATCH) and give back meanwhile.
CHARGED_AHEAD = 64 * os.sysconf("SC_PAGE_SIZE") * (os.cpu_count() or 1)
# A victim that another task kills may be in the middle of a fault, on another CPU: SIGKILL waits
# for its end.
IN_FLIGHT_BYTES = os.sysconf("SC_PAGE_SIZE")
# A fault in a file maps what lies around it as well: fault_around_bytes, mm/memory.c.
AROUND_PAGES = (64 << 10) // os.sysconf("SC_PAGE_SIZE")


def assert_agrees(victim: dict[str, Any], killed: Killed, error: int, handed_over: int = 0) -> None:
    """The victim of a record is the one of the log, in everything the log says.

    ``error``: of each number, in bytes; ``handed_over``: what its threads may add meanwhile, a page
    for each fault.
    """
    exact(
        "victims",
        victim,
        tid=killed.tid,
        command=killed.comm,
        uid=killed.uid,
        oom_score_adj=killed.adj,
    )
    if handed_over:  # a fault's page may be a page table
        near("victims", victim, IN_FLIGHT_BYTES, pagetables_bytes=killed.pgtables)
    else:
        exact("victims", victim, pagetables_bytes=killed.pgtables)
    exact("victims.vm", victim["vm"], total_bytes=killed.total_vm)
    rss, pages = victim["rss"], {"anon_bytes": killed.anon, "shmem_bytes": killed.shmem}
    near("victims.rss", rss, error + handed_over, **pages)
    near("victims.rss", rss, error + handed_over * AROUND_PAGES, file_bytes=killed.file)


def assert_explains(record: dict[str, Any], report: Report, charged_to: str | None = None) -> None:
    """The record tells of the OOM what the kernel's report before the kill does.

    ``charged_to``: the cgroup the kernel names, where it is an ancestor of the one the victim is
    in, without a memory controller of its own.
    """
    exact("trigger", record["trigger"], command=report.trigger)
    (victim, *_) = record["victims"]
    if charged_to is not None:
        assert report.cgroup == charged_to
    elif victim["cgroup"] is not None:  # the raw tracepoint may have had a pid only
        exact("victims", victim, cgroup=report.cgroup)
    if record["hook"] != "raw_tracepoint":
        exact(
            "oom",
            record["oom"],
            constraint=report.constraint,
            order=report.order,
            gfp_mask=report.gfp_mask,
        )
    if report.domain is None:
        assert record["domain"] is None
    elif record["domain"] is not None:
        assert report.usage is not None
        exact("domain", record["domain"], cgroup=report.domain, limit_bytes=report.limit)
        near("domain", record["domain"], CHARGED_AHEAD, usage_bytes=report.usage)
        if report.swap_usage is not None:
            near("domain", record["domain"], CHARGED_AHEAD, swap_usage_bytes=report.swap_usage)


def assert_numbered_on(recorder: Recorder, records: list[dict[str, Any]]) -> None:
    """Each kill's number is the one before and 1, those of others on this machine between them."""
    first, last = records[0]["sequence"], records[-1]["sequence"]
    told = [each for each in recorder.told if first <= each.sequence <= last]
    assert [each.sequence for each in told] == list(range(first, last + 1))
    ours = [each.sequence for each in told if each.ours]
    assert ours == [record["sequence"] for record in records]
