# SPDX-License-Identifier: Apache-2.0
"""The `Stuck`: one episode of a cgroup out of memory in which nothing is killed.

The attribute names are the JSON keys (docs/record.md). ``None`` is unknown, never 0; for a limit it
also means that there is none. Later stages fill in `Stuck.container`, `Episode.cause` and
`Stuck.verdict`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..incident.container import Container

NOTHING_KILLABLE = "nothing_killable"  # all of its processes have an oom_score_adj of -1000
OOM_DISABLED = "oom_disabled"  # cgroup v1's memory.oom_control
CHARGE_REFUSED = "charge_refused"  # who asked was told that there is no memory (ENOMEM)
THROTTLED = "throttled"  # over memory.high: put to sleep
HUGE_PAGE_REFUSED = "huge_page_refused"  # one of hugetlb's: SIGBUS
CAUSES = (NOTHING_KILLABLE, OOM_DISABLED, CHARGE_REFUSED, THROTTLED, HUGE_PAGE_REFUSED)
# Of what was not told for as long nobody knows whether it goes on: three times
# RETELL_NS of bpf/stuck.bpf.h.
SILENT_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Episode:
    """From its first event to its last one."""

    cause: str | None = None  # one of `CAUSES`
    events: int | None = None  # how often it ran out, was put to sleep, or got SIGBUS
    seconds: float | None = None
    ended: bool | None = None


@dataclass(frozen=True, slots=True)
class Stuck:
    """``time`` and ``boot_ns``: of the begin. The numbers: of when the episode was recognised."""

    time: float  # seconds since the epoch
    boot_ns: int
    node: str
    kernel: str
    verdict: str | None
    container: Container
    cgroup: str | None = None
    cgroup_id: int | None = None
    usage_bytes: int | None = None
    limit_bytes: int | None = None
    high_bytes: int | None = None  # memory.high
    stuck: Episode = Episode()

    @property
    def id(self) -> str:
        """Its permanent name, as an incident has one."""
        return f"{self.boot_ns:x}-{self.cgroup_id or 0:x}-stuck"
