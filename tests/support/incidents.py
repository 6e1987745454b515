# SPDX-License-Identifier: Apache-2.0
"""Incidents made by hand, and a probe that says what it is told, for tests without a kernel."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from container_oomkill.incident.model import (
    Candidate,
    Container,
    Domain,
    Incident,
    Oom,
    Rss,
    Stat,
    Trigger,
    Victim,
    Vm,
)
from container_oomkill.incident.node_memory import NodeMemory, NumaNode, Share

MIB = 1 << 20
TIME = 1_790_000_000.5
BOOT_NS = 5_000_000_000
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m\x00'\"&" + "x" * 10_000  # as any text may be


STAT = Stat(
    anon_bytes=124 * MIB,
    file_bytes=MIB,
    shmem_bytes=MIB // 4,
    kernel_stack_bytes=65536,
    pagetables_bytes=524288,
    slab_reclaimable_bytes=262144,
    slab_unreclaimable_bytes=786432,
    sock_bytes=0,
    kernel_bytes=3 * MIB,
    approximate=False,
)
MIXED_STAT = Stat(
    anon_bytes=60 * MIB,
    file_bytes=50 * MIB,
    shmem_bytes=40 * MIB,
    kernel_bytes=10 * MIB,
    approximate=True,
)


def victim(**changes: Any) -> Victim:
    values: dict[str, Any] = {
        "pid": 4711,
        "tid": 4711,
        "pid_in_container": 7,
        "ppid": 1,
        "command": "python3",
        "parent_command": "sh",
        "uid": 0,
        "cgroup": "/kubepods/pod1/" + "ab" * 32,
        "cgroup_id": 77,
        "oom_score_adj": -3,
        "points": 33927,
        "rss": Rss(anon_bytes=124 * MIB, file_bytes=MIB, shmem_bytes=0),
        "swap_bytes": 4096,
        "pagetables_bytes": 409600,
        "vm": Vm(
            total_bytes=512 * MIB,
            data_bytes=300 * MIB,
            exec_bytes=3 * MIB,
            stack_bytes=135168,
            locked_bytes=0,
            pinned_bytes=0,
            hiwater_rss_bytes=125 * MIB,
            hiwater_vm_bytes=520 * MIB,
            task_size_bytes=(1 << 47) - 4096,
        ),
        "threads": 3,
        "minor_faults": 33333,
        "major_faults": 11,
        "flags": 4194304,
        "priority": 120,
        "static_priority": 120,
        "user_seconds": 1.5,
        "system_seconds": 0.25,
        "guest_seconds": 0.0,
        "started_at": TIME - 3.25,
        "uptime_seconds": 3.25,
    }
    return Victim(**(values | changes))


def incident(sequence: int = 1, **changes: Any) -> Incident:
    """One like any other; ``changes`` are fields of `Incident`."""
    values: dict[str, Any] = {
        "time": TIME + sequence,
        "boot_ns": BOOT_NS,
        "sequence": sequence,
        "node": "node-1",
        "kernel": "6.12.117",
        "hook": "fentry",
        "scope": "container",
        "inferred": False,
        "message": None,
        "verdict": None,
        "container": container("app"),
        "domain": Domain(
            cgroup="/kubepods/pod1/" + "ab" * 32,
            cgroup_id=77,
            usage_bytes=128 * MIB,
            limit_bytes=128 * MIB,
            low_bytes=0,
            peak_bytes=128 * MIB,
            swap_usage_bytes=4096,
            swap_limit_bytes=0,
            swappiness=60,
            stat=STAT,
        ),
        "oom": Oom("memcg", 0, 0xCC0, 128 * MIB, 33927, False),
        "trigger": Trigger(4712, 4713, "gunicorn", "/kubepods/pod1/" + "ab" * 32, "ab" * 32),
        "victims": (victim(),),
        "candidates": (
            Candidate(4702, "gunicorn", 2 * MIB + MIB // 10, 0, 600),
            Candidate(4699, "sh", 410_000, -997, 0),
        ),
    }
    return Incident(**(values | changes))


def now(sequence: int = 1, *, age: float = 60.0, **changes: Any) -> Incident:
    """An incident of a moment ago."""
    at = {"time": time.time() - age, "boot_ns": BOOT_NS + sequence}
    return incident(sequence, **(at | changes))


def container(name: str | None, **changes: Any) -> Container:
    values: dict[str, Any] = {
        "id": "ab" * 32,
        "name": name,
        "runtime": "containerd",
        "image": "registry/cart:1.2",
        "pod": "cart-7d9f4",
        "namespace": "shop",
    }
    return Container(**(values | changes))


@dataclass
class FakeProbe:
    """A `ProbeStatus`."""

    hook: str = "fentry"
    kernel: str = "6.12.117"
    attached: bool = True
    counts: dict[str, int] = field(
        default_factory=lambda: {"kills": 0, "lost_ring_full": 0, "lost_no_context": 0}
    )
    can: dict[str, bool] = field(
        default_factory=lambda: {"flight_recorder": True, "memcg_peak": True}
    )
    recorded: dict[str, int] = field(
        default_factory=lambda: {
            "walks": 9,
            "missed_ticks": 1,
            "cut_walks": 0,
            "cgroups": 90,
            "recorded": 80,
            "busy_ns": 630_000,
            "longest_ns": 80_000,
            "memory_bytes": 3_900_000,
        }
    )

    signalled: dict[str, int] = field(
        default_factory=lambda: {
            "kills": 70,
            "by_oom_killer": 2,
            "with_others": 40,
            "records": 20,
            "lost_rate_limit": 8,
            "lost_ring_full": 0,
        }
    )

    def counters(self) -> Mapping[str, int]:
        return self.counts

    def features(self) -> Mapping[str, bool]:
        return self.can

    def recorder_status(self) -> Mapping[str, int] | None:
        return self.recorded

    def killers_status(self) -> Mapping[str, int] | None:
        return self.signalled

    def ring_use(self) -> tuple[int, int]:
        return 296, 1 << 20


@dataclass
class Clock:
    """A clock that is moved by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def node_wide(**changes: Any) -> Incident:
    """The node ran out: a container has most of it, far over its request."""
    large = Container(
        *("1" * 64, "db", "containerd"),
        pod="db-0",
        namespace="shop",
        memory_request_bytes=256 * MIB,
    )
    own = incident().container
    memory = NodeMemory(
        source="kernel",
        total_bytes=1000 * MIB,
        free_bytes=20 * MIB,
        anon_bytes=700 * MIB,
        file_bytes=100 * MIB,
        shmem_bytes=40 * MIB,
        unmapped_bytes=0,
        slab_reclaimable_bytes=30 * MIB,
        slab_unreclaimable_bytes=50 * MIB,
        kernel_stack_bytes=5 * MIB,
        pagetables_bytes=10 * MIB,
        vmalloc_bytes=15 * MIB,
        percpu_bytes=5 * MIB,
        hugetlb_bytes=0,
        unaccounted_bytes=70 * MIB,
        charged_bytes=850 * MIB,
        host_bytes=100 * MIB,
        cgroups=(
            Share(
                cgroup="/kubepods/pod0/" + "1" * 64,
                usage_bytes=600 * MIB,
                limit_bytes=800 * MIB,
                oom_score_adj=-997,
                grew_minute_bytes=200 * MIB,
                container=large,
            ),
            Share(
                cgroup="/system.slice/kubelet.service",
                usage_bytes=100 * MIB,
                container=Container(name="kubelet.service", runtime="systemd"),
            ),
            Share(
                cgroup="/kubepods/pod1/" + "ab" * 32,
                usage_bytes=80 * MIB,
                container=own,
            ),
        ),
        other_cgroups_bytes=30 * MIB,
        other_cgroups=7,
        gone_bytes=40 * MIB,
        nodes=(
            NumaNode(number=0, allowed=True, total_bytes=500 * MIB, free_bytes=5 * MIB),
            NumaNode(number=1, allowed=False, total_bytes=500 * MIB, free_bytes=15 * MIB),
        ),
        approximate=False,
    )
    values: dict[str, Any] = {
        "domain": None,
        "scope": "node",
        "oom": Oom(constraint="none", order=0, gfp_mask=0, total_bytes=1000 * MIB),
        "node_memory": memory,
    }
    return incident(**(values | changes))
