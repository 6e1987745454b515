# SPDX-License-Identifier: Apache-2.0
"""The kinds of incidents a person may be paged for, to look at: one of each, and one in a loop.

Some are records of real kills (tests/data/reports); the others have a real one's form.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from container_oomkill.cli.recording import read_recording
from container_oomkill.diagnosis import verdict
from container_oomkill.incident.model import (
    Candidate,
    Child,
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

from ..incidents import BOOT_NS, MIB, incident, victim

REPORTS = Path(__file__).parents[2] / "data" / "reports"
POD_UID = "aaaaaaaa-1111-4222-8333-444455556666"
POD = f"/kubepods/burstable/pod{POD_UID}"
REDIS, APP, SANDBOX = ("a2" * 32, "a1" * 32, "a0" * 32)
HOUR = 3600.0


def examples() -> dict[str, Incident]:
    """Explained, by what they are an example of; oldest first."""
    made = [
        ("sysrq", 26 * HOUR, _manual()),
        ("node", 9 * HOUR, _node()),
        ("tmpfs", 5 * HOUR, _report("tmpfs_left_behind")),
        ("unknown", 2 * HOUR, _unknown()),
        ("group", 1.5 * HOUR, _report("oom_group")),
        ("loop-1", 3 * HOUR / 4, _docker(1)),
        ("loop-2", HOUR / 2, _docker(2)),
        ("loop-3", HOUR / 4, _docker(3)),
        ("lowered", 600.0, _report("resize_3_percent")),
        ("pod", 240.0, _pod()),
        ("own", 60.0, _docker(4)),
    ]
    now = time.time()
    return {
        name: verdict.explain(
            each.changed(
                time=now - age, boot_ns=BOOT_NS + number, sequence=number, kernel="6.12.117"
            )
        )
        for number, (name, age, each) in enumerate(made, 1)
    }


def _report(name: str) -> Incident:
    return next(iter(read_recording(str(REPORTS / f"{name}.json"))))


def _container(name: str, id_: str) -> Container:
    return Container(
        id=id_,
        name=name,
        runtime="containerd",
        image=f"registry.example/shop/{name}:1.4",
        pod="cart-7d9f4",
        namespace="shop",
        pod_uid=POD_UID,
        workload="Deployment/cart",
    )


def _pod() -> Incident:
    """One container asks, another one of the pod is killed."""
    redis, app = _container("redis", REDIS), _container("app", APP)
    children = (
        Child(f"{POD}/{APP}", 102, 36 * MIB, 64 * MIB, app),
        Child(f"{POD}/{REDIS}", 103, 35 * MIB, None, redis),
        Child(f"{POD}/{SANDBOX}", 101, MIB // 2, None, Container(id=SANDBOX, name="POD")),
    )
    stat = Stat(
        anon_bytes=66 * MIB,
        file_bytes=3 * MIB,
        shmem_bytes=MIB,
        kernel_stack_bytes=MIB // 4,
        pagetables_bytes=MIB // 2,
        slab_reclaimable_bytes=MIB // 4,
        slab_unreclaimable_bytes=MIB,
        sock_bytes=0,
        kernel_bytes=2 * MIB,
        gone_bytes=MIB // 2,
        approximate=False,
    )
    return incident(
        container=redis,
        domain=Domain(
            POD, 100, 72 * MIB, 72 * MIB, 0, 72 * MIB, 0, 0, 60, stat=stat, children=children
        ),
        victims=(
            victim(
                command="redis-server",
                parent_command="containerd-shim",
                pid_in_container=1,
                cgroup=f"{POD}/{REDIS}",
                cgroup_id=103,
                usage_bytes=35 * MIB,
                stat=Stat(anon_bytes=33 * MIB, file_bytes=MIB, shmem_bytes=0, kernel_bytes=MIB),
                rss=Rss(33 * MIB, 3 * MIB, 0),
                oom_score_adj=968,
                uptime_seconds=19 * HOUR,
            ),
        ),
        trigger=Trigger(5120, 5120, "python3", f"{POD}/{APP}", APP, app),
        candidates=(
            Candidate(5120, "python3", 34 * MIB, 954, 1500, 102, "app"),
            Candidate(5099, "python3", 6 * MIB, 954, 900, 102, "app"),
            Candidate(4600, "pause", 700_000, -998, 0, 101, "POD"),
        ),
    )


def _docker(number: int) -> Incident:
    """A Compose service that grows until its own limit, again and again."""
    id_ = f"d{number}" * 32
    path = f"/docker/{id_}"
    return incident(
        container=Container(
            id=id_,
            name="shop-worker-1",
            runtime="docker",
            image="shop/worker:2.0",
            service="shop-worker",
        ),
        domain=Domain(
            path, 7, 256 * MIB, 256 * MIB, 0, 256 * MIB, 0, 0, 60,
            stat=Stat(
                anon_bytes=250 * MIB, file_bytes=2 * MIB, shmem_bytes=0, kernel_bytes=3 * MIB,
                kernel_stack_bytes=MIB, pagetables_bytes=MIB, slab_reclaimable_bytes=0,
                slab_unreclaimable_bytes=MIB, sock_bytes=0, approximate=False,
            ),
        ),
        victims=(
            victim(
                command="python3", cgroup=path, cgroup_id=7, pid_in_container=1,
                usage_bytes=256 * MIB, limit_bytes=256 * MIB, rss=Rss(249 * MIB, 5 * MIB, 0),
                uptime_seconds=840.0 + number, oom_score_adj=0, parent_command="containerd-shim",
            ),
        ),
        trigger=Trigger(4711, 4711, "python3", path, id_),
        candidates=(Candidate(4699, "sh", MIB, 0, 10),),
    )  # fmt: skip


def _node() -> Incident:
    plain = _report("packet_mmap")
    return plain.changed(container=replace(plain.container, name="capture", pod="ids-x8kq2"))


def _manual() -> Incident:
    unit = Container(name="nginx.service", runtime="systemd")
    killed = victim(command="nginx", cgroup="/system.slice/nginx.service", pid_in_container=4711)
    return incident(
        container=unit,
        domain=None,
        oom=Oom("none", -1, 0xCC0, 4096 * MIB, 900, False),
        trigger=Trigger(8, 8, "kworker/0:1", "/", None),
        victims=(killed,),
        candidates=(),
    )


def _unknown() -> Incident:
    """As the raw tracepoint sees it on a kernel that gives little."""
    path = "/system.slice/libpod-" + "c3" * 32 + ".scope"
    killed = Victim(
        pid=881, tid=881, pid_in_container=4, ppid=870, command="postgres",
        parent_command="postgres", uid=999, cgroup=path, cgroup_id=44, usage_bytes=96 * MIB,
        limit_bytes=96 * MIB, oom_score_adj=0, rss=Rss(16 * MIB, 9 * MIB, 60 * MIB),
        pagetables_bytes=MIB, vm=Vm(hiwater_rss_bytes=90 * MIB), uptime_seconds=4000.0,
    )  # fmt: skip
    return incident(
        hook="raw_tracepoint",
        inferred=True,
        container=Container(
            id="c3" * 32, name="database", runtime="podman", image="docker.io/library/postgres:17"
        ),
        domain=Domain(path, 44, 96 * MIB, 96 * MIB),
        oom=Oom(),
        trigger=Trigger(881, 881, "postgres", path, "c3" * 32),
        victims=(killed,),
        candidates=None,
    )
