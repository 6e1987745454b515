# SPDX-License-Identifier: Apache-2.0
"""Every rule of the verdict: when it speaks, what it says, and when it must be silent."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.diagnosis.verdict import RULES, explain, next_steps
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident.before import (
    Averages,
    Before,
    Pressure,
    Reclaim,
    ReclaimOf,
    Refaults,
    RefaultsOf,
    Stalls,
)
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
)
from container_oomkill.incident.node_memory import NodeMemory, NumaNode, Share, Zone
from container_oomkill.incident.stack import Stack

from ..support.befores import before
from ..support.incidents import MIB, incident, victim

DOCUMENT = Path(__file__).parents[2] / "docs" / "verdicts.md"
NAMES = [rule.name for rule in RULES]
ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
POD = "/kubepods/burstable/podf3c2e1d0-aaaa-4bbb-8ccc-0123456789ab"
OTHER_POD = POD.replace("f3c2", "aaaa")
MEMCG = Oom(constraint="memcg", order=0, group=False)
NODE = {"domain": None, "oom": Oom(constraint="none", order=0)}
OLD = {"pid_in_container": 4711, "uptime_seconds": 3600.0}  # of whom no remark speaks
GROWING = before(lambda at: 10 + at / 6, 710)  # the domain's 128 MiB at the end
HIGHER = before(  # a spike that was survived under a higher limit, and one that was not
    lambda at: 190 if 1000 <= at < 1010 else 31, 7200, limits=((7200, 256), (3600, 128))
)


def stalled(some: float, full: float | None, *, avg10: float = 100.0) -> Before:
    """Percent of the last minute."""
    both = Stalls(Averages(avg10, some, 0.0), None if full is None else Averages(0.0, full, 0.0))
    return Before(pressure=Pressure(domain=both))


def thrashing(
    span: float = 40.0,
    *,
    stalled_seconds: float | None = 21.0,
    file_bytes: int | None = 0,
    anon_bytes: int | None = 0,
) -> Before:
    """On cgroup v1, which has no memory.pressure."""
    episode = ReclaimOf(span, passes=12300, stalled_seconds=stalled_seconds)
    refaults = RefaultsOf(anon_bytes=anon_bytes, file_bytes=file_bytes)
    return Before(reclaim=Reclaim(domain=episode), refaults=Refaults(domain=refaults))


# What memory.pressure says, where there is one, has the last word.
UNSTALLED = replace(stalled(0.0, 0.0, avg10=0.0), reclaim=thrashing().reclaim)
INSIDE = Trigger(1, 1, "asker", f"{POD}/{ID}", None)
NOTHING = Stat(0, 0, 0, 0, 0, 0, 0, 0, 0, approximate=False)


def explained(container_type: str | None = None, **changes: Any) -> Incident:
    """One of a container's own limit, of 128 MiB, with nothing to remark."""
    values: dict[str, Any] = {
        "container": Container(),
        "trigger": INSIDE,
        "oom": MEMCG,
        "domain": held(anon_bytes=124 * MIB),
        "victims": (one(),),
        "candidates": (),
        "inferred": False,
    }
    node_memory = changes.pop("node_memory", None)  # its rows are named already
    found = resolve(incident(**(values | changes)))
    container = replace(found.container, type=container_type)
    return explain(found.changed(container=container, node_memory=node_memory))


def one(**changes: Any) -> Any:
    return victim(**({"cgroup": f"{POD}/{ID}"} | OLD | changes))


def asked_by(*functions: str, of: Trigger = INSIDE) -> Trigger:
    """Whose stack in the kernel has these."""
    return replace(of, stack=Stack(kernel=functions))


def rss(mib: int) -> Rss:
    return Rss(anon_bytes=mib * MIB, file_bytes=0, shmem_bytes=0)


def held(*, cgroup: str = f"{POD}/{ID}", limit: int = 128, **stat: Any) -> Domain:
    """A domain that is full, with this in its memory.stat and 0 in the rest of it."""
    return Domain(
        cgroup=cgroup,
        limit_bytes=limit * MIB,
        usage_bytes=limit * MIB,
        stat=replace(NOTHING, **stat),
    )


def tasks(count: int, mib: int) -> tuple[Candidate, ...]:
    return tuple(Candidate(100 + n, "worker", mib * MIB, 0, mib * 256) for n in range(count))


HELD = 126 * MIB + 4096 + 409600 - MIB  # what `one` is charged with: rss, swap, page tables
LARGER = Candidate(99, "mysqld", 200 * MIB, -997, 0)
POD_DOMAIN = held(cgroup=POD, limit=512, anon_bytes=500 * MIB)
YOUNG = one(pid_in_container=1, uptime_seconds=3.25)
NO_STAT = Domain(cgroup=f"{POD}/{ID}", limit_bytes=128 * MIB, usage_bytes=128 * MIB)
MAPPED = held(shmem_bytes=96 * MIB, file_bytes=96 * MIB)
WRITER = Trigger(9, 9, "runc", "/", None)  # of memory.max
MEMSW = replace(held(anon_bytes=90 * MIB), swap_usage_bytes=60 * MIB, swap_limit_bytes=32 * MIB)
UNTOLD = {"domain": None, "oom": Oom(), "hook": "raw_tracepoint"}
APP = Container(id=ID, name="app")
CACHE = Container(id=OTHER, name="cache")
PAUSE = Child(f"{POD}/{'5' * 64}", 5, MIB // 2, None, Container(name="POD"))


def pod_of(*children: Child, limit: int = 64, **stat: Any) -> Domain:
    """A pod's cgroup that is full, with these containers in it."""
    return replace(held(cgroup=POD, limit=limit, **stat), children=children)


def app(mib: int, limit: int | None = 64) -> Child:
    return Child(f"{POD}/{ID}", 1, mib * MIB, None if limit is None else limit * MIB, APP)


def cache(mib: int) -> Child:
    return Child(f"{POD}/{OTHER}", 2, mib * MIB, None, CACHE)


LEFT_IN_POD = pod_of(app(2), PAUSE, shmem_bytes=60 * MIB, file_bytes=60 * MIB, gone_bytes=60 * MIB)
SWAP = replace(held(anon_bytes=MIB), swap_limit_bytes=64 * MIB)


def row(name: str, mib: int, *, request: int | None = None, **more: Any) -> Share:
    """A container of the node."""
    asked = None if request is None else request * MIB
    container = Container(id=name * 64, name=name, memory_request_bytes=asked)
    return Share(usage_bytes=mib * MIB, container=container, **more)


def of_node(*cgroups: Share, **memory: Any) -> dict[str, Any]:
    """Of 1,000 MiB, none of it free."""
    values: dict[str, Any] = {"total_bytes": 1000 * MIB, "free_bytes": 10 * MIB, **memory}
    values["cgroups"] = cgroups
    return NODE | {"node_memory": NodeMemory(**values)}


OWN_ROW = Share(usage_bytes=20 * MIB, container=Container(id=ID))
THREE = (row("a", 400), row("b", 200), row("c", 100))


def free_in(*zones: Zone, node: bool | None = True, **oom: Any) -> dict[str, Any]:
    """200 MiB free in all."""
    nodes = (NumaNode(number=0, allowed=node, zones=zones),)
    values: dict[str, Any] = {"constraint": "none", "order": 0, **oom}
    return of_node(free_bytes=200 * MIB, nodes=nodes) | {"oom": Oom(**values)}


def zone(mib: int, **more: Any) -> Zone:
    values: dict[str, Any] = {"name": "Normal", "allowed": True, "min_bytes": MIB}
    values["free_bytes"] = mib * MIB
    return Zone(**(values | more))


# A rule's name: changes that make it speak, and its words.
SPEAKS: dict[str, tuple[dict[str, Any], str]] = {
    "sysrq": (
        {"domain": None, "oom": Oom(constraint="none", order=-1)},
        "somebody asked for it with sysrq-f",
    ),
    "node": (
        NODE | {"victims": (one(usage_bytes=80 * MIB, limit_bytes=256 * MIB),)},
        "the node ran out of memory, not this container: it used 80.0 MiB of its 256.0 MiB",
    ),
    "cpuset": ({"domain": None, "oom": Oom("cpuset", 0)}, "look at cpuset.mems"),
    "mempolicy": ({"domain": None, "oom": Oom("memory_policy", 0)}, "its NUMA policy allows"),
    "own-limit": ({}, "its own limit (128.0 MiB)"),
    "pod-limit": ({"domain": POD_DOMAIN}, "its pod's limit (512.0 MiB), shared by all"),
    "parent-limit": (
        {"domain": held(cgroup="/kubepods")},
        "the limit (128.0 MiB) of the cgroup /kubepods above it",
    ),
    "unknown": (
        UNTOLD,
        "what ran out is not known: a cgroup was close to its limit, and nothing shows that it",
    ),
    "anonymous-memory": ({}, ": 96 % (124.0 MiB) is anonymous memory of python3"),
    "sandbox": (
        {"domain": MAPPED, "victims": (one(command="exe", rss=Rss(MIB, 0, 90 * MIB)),)},
        ": 75 % (96.0 MiB) is memory of the sandbox's programs",
    ),
    "shared-mapping": (
        {"domain": MAPPED, "victims": (one(rss=Rss(MIB, 0, 96 * MIB)),), "candidates": None},
        ": 75 % (96.0 MiB) is shared memory mapped by python3 (shared_buffers, shared anonymous,",
    ),
    "tmpfs": (
        {"domain": held(cgroup=POD, limit=512, shmem_bytes=431 * MIB, file_bytes=440 * MIB)},
        (
            "84 % (431.0 MiB) is shared memory or tmpfs, most of it mapped by no process "
            "(look at memory-backed emptyDir volumes and /dev/shm)"
        ),
    ),
    "page-cache": (
        {"domain": held(shmem_bytes=20 * MIB, file_bytes=84 * MIB)},
        ": 50 % (64.0 MiB) is page cache that could not be reclaimed",
    ),
    "slab": (
        {
            "domain": held(
                slab_reclaimable_bytes=24 * MIB,
                slab_unreclaimable_bytes=40 * MIB,
                kernel_bytes=65 * MIB,
            )
        },
        ": 50 % (64.0 MiB) is kernel objects (slab)",
    ),
    "page-tables": ({"domain": held(pagetables_bytes=32 * MIB)}, "25 % (32.0 MiB) is page tables"),
    "kernel-stacks": (
        {"domain": held(kernel_stack_bytes=64 * MIB)},
        "50 % (64.0 MiB) is kernel stacks",
    ),
    "vmalloc": (
        {"domain": held(vmalloc_bytes=64 * MIB, kernel_bytes=64 * MIB)},
        ": 50 % (64.0 MiB) is memory of the kernel's vmalloc",
    ),
    "per-cpu-memory": (
        {"domain": held(percpu_bytes=64 * MIB, kernel_bytes=64 * MIB)},
        ": 50 % (64.0 MiB) is per-CPU memory of the kernel",
    ),
    "zswap": (
        {
            "domain": held(
                zswap_bytes=60 * MIB, zswapped_bytes=118 * MIB, kernel_bytes=61 * MIB, limit=64
            )
        },
        (
            ": 93 % (60.0 MiB) is zswap: heap that the kernel has compressed, 118.0 MiB before it "
            "was compressed"
        ),
    ),
    "kernel-memory": (
        {"domain": held(kernel_bytes=64 * MIB, pagetables_bytes=20 * MIB)},
        ": 50 % (64.0 MiB) is the kernel's own memory",
    ),
    "other-kernel-memory": (
        {"domain": held(kernel_bytes=90 * MIB, pagetables_bytes=40 * MIB)},
        "39 % (50.0 MiB) is other memory of the kernel's own, 31 % (40.0 MiB) is page tables",
    ),
    "sockets": ({"domain": held(sock_bytes=96 * MIB)}, ": 75 % (96.0 MiB) is socket buffers"),
    "huge-pages": (
        {"domain": held(hugetlb_bytes=44 * MIB, limit=64)},
        ": 68 % (44.0 MiB) is huge pages (hugetlb)",
    ),
    "pinned-pages": (
        {"domain": held(pinned_bytes=44 * MIB, limit=64)},
        ": 68 % (44.0 MiB) is pages that only a pin or the kernel holds",
    ),
    "not-told-apart": (
        {"domain": held(anon_bytes=32 * MIB, file_bytes=32 * MIB, kernel_bytes=None)},
        ": 50 % (64.0 MiB) is neither anonymous memory nor page cache, so it is apparently",
    ),
    "uncounted": (
        {"domain": held(anon_bytes=20 * MIB, kernel_bytes=0, limit=64)},
        ": 68 % (44.0 MiB) is in no kind that this kernel counts",
    ),
    "not-the-killed": (
        {"domain": NO_STAT, "victims": (one(rss=rss(64)),)},
        ": 50 % is anonymous memory of python3, 49 % (63.6 MiB) is not in python3: in others,",
    ),
    "little": (
        {
            "domain": Domain(cgroup=f"{POD}/{ID}", limit_bytes=128 * MIB, usage_bytes=128 * MIB),
            "victims": (one(rss=rss(2)),),
        },
        ": python3 itself held little of it (2.0 MiB of 128.0 MiB)",
    ),
    "mix": (
        {
            "domain": held(
                anon_bytes=30 * MIB,
                shmem_bytes=28 * MIB,
                file_bytes=54 * MIB,
                kernel_bytes=24 * MIB,
                sock_bytes=20 * MIB,
            )
        },
        (": 100 % (128.0 MiB) is a mix: anon 30.0 MiB, shmem 28.0 MiB, file 26.0 MiB and others"),
    ),
    "limit-lowered": (
        {"domain": replace(held(anon_bytes=MIB), limit_bytes=127 * MIB), "trigger": WRITER},
        "runc [9] lowered the limit to less than was in use (128.0 MiB)",
    ),
    "not-resized": (
        {"domain": pod_of(app(63, 96), PAUSE, anon_bytes=63 * MIB)},
        (
            "the container's own limit is higher (96.0 MiB): a resize has reached it, and not the "
            "pod's cgroup"
        ),
    ),
    "memory-and-swap": (
        {"domain": replace(MEMSW, usage_bytes=100 * MIB)},
        "its own limit of memory and swap together (160.0 MiB): ",
    ),
    "left-behind": (
        {"domain": LEFT_IN_POD, "victims": (one(usage_bytes=2 * MIB, limit_bytes=64 * MIB),)},
        (
            "60.0 MiB is charged to the pod by no living container: files in tmpfs left by an "
            "earlier one; raising the limit only postpones it"
        ),
    ),
    "free-elsewhere": (
        free_in(zone(200), node=False),
        "200.0 MiB was free, but on memory nodes that it may not use",
    ),
    "node-holders": (
        of_node(*THREE, OWN_ROW),
        "was held by a 400.0 MiB, b 200.0 MiB, c 100.0 MiB, 20 times as much as this one's",
    ),
    "over-request": (
        of_node(row("a", 400, request=390), row("b", 200, request=64)),
        "b used 136.0 MiB more than its request of 64.0 MiB",
    ),
    "node-grew": (
        of_node(
            row("a", 400, grew_hour_bytes=300 * MIB), row("b", 200, grew_minute_bytes=50 * MIB)
        ),
        "b grew by 50.0 MiB in the last minute",
    ),
    "host-share": (
        of_node(Share("/system.slice/k.service", 1, 300 * MIB), host_bytes=310 * MIB),
        "31 % (310.0 MiB) was the host's own, in no container, k.service 300.0 MiB of it",
    ),
    "removed-cgroups": (
        of_node(gone_bytes=100 * MIB),
        "100.0 MiB is still charged to cgroups that were removed",
    ),
    "node-kernel": (
        of_node(slab_unreclaimable_bytes=250 * MIB, pagetables_bytes=MIB),
        "25 % of the node (250.0 MiB) was slab that cannot be reclaimed",
    ),
    "node-tmpfs": (
        of_node(shmem_bytes=300 * MIB, file_bytes=310 * MIB),
        "30 % of the node (300.0 MiB) was shared memory and files in tmpfs",
    ),
    "node-page-cache": (
        of_node(shmem_bytes=10 * MIB, file_bytes=310 * MIB),
        "30 % of the node (300.0 MiB) was page cache that the kernel did not get back",
    ),
    "node-huge-pages": (
        of_node(hugetlb_bytes=512 * MIB),
        "51 % of the node (512.0 MiB) was set aside for huge pages",
    ),
    "unaccounted": (
        of_node(unaccounted_bytes=100 * MIB),
        "100.0 MiB is in no counter of the kernel, and charged to nobody",
    ),
    "uncharged": (
        NODE | {"victims": (one(rss=Rss(MIB, 736 * MIB, 0), usage_bytes=2 * MIB),)},
        "; python3 held 734.0 MiB that no cgroup is charged for",
    ),
    "neighbours": (
        {"domain": POD_DOMAIN, "victims": (one(usage_bytes=80 * MIB),)},
        "; its own cgroup held 80.0 MiB of that",
    ),
    "many-processes": (
        {"victims": (one(rss=rss(12)),), "candidates": tasks(9, 11)},
        "there were 10 processes or more and none is large: the largest, python3, held 12.0 MiB",
    ),
    "swap-full": (
        {"domain": replace(SWAP, swap_usage_bytes=62 * MIB)},
        "its swap (64.0 MiB) is full too",
    ),
    "allocating-task": (
        NODE | {"message": "Out of memory (oom_kill_allocating_task)"},
        "vm.oom_kill_allocating_task had the process killed that asked",
    ),
    "contiguous": (
        {"domain": None, "oom": Oom("none", 3)},
        "8 pages in one piece (order 3) were asked for",
    ),
    "limit-had-been-lowered": (
        {"before": before(lambda _: 120, 600, limits=((600, 256), (60, 128)))},
        "the limit had been lowered from 256.0 MiB to 128.0 MiB 1 min 0 s before, with 120.0 MiB",
    ),
    "leak": ({"before": GROWING}, "usage grew 10.0 MiB/min for 11 min 50 s, steadily"),
    "spike": ({"before": before(lambda _: 31, 600)}, "usage went from 31.0 to 128.0 MiB in 400 ms"),
    "ramp": (
        {"before": before(lambda at: 20 + max(0, at - 500), 608)},
        "usage went from 20.0 to 128.0 MiB in 2 min 8 s; the most in the 8 min 0 s before was 20.0",
    ),
    "start-up": ({"before": before(lambda at: 6.4 * at, 20)}, "usage grew from the start on"),
    "sawtooth": (
        {"before": before(lambda at: 40 + at % 10 * 8, 55)},
        "usage rose and fell 5 times in 55.0 s, between 44.8 and 116.8 MiB",
    ),
    "plateau": (
        {"before": before(lambda _: 128, 99, at_limit_seconds=95)},
        "usage had been at the limit for 1 min 35 s",
    ),
    "waited-for-memory": (
        {"before": stalled(40.4, 22.0)},
        "something in it waited for memory about 40 % of the last minute, everything 22 %",
    ),
    "read-again": (
        {"before": thrashing(stalled_seconds=4.2, file_bytes=300 * MIB)},
        "300.0 MiB of its page cache had been reclaimed and read again: more than fits was in use",
    ),
    "enough-before": (
        {"before": HIGHER},
        (
            "190.0 MiB would have been enough for what it did before: with 256.0 MiB it used no "
            "more in 33 min 0 s"
        ),
    ),
    "forking": (
        {"trigger": asked_by("copy_process")},
        "it ran out as asker [1] started a process or a thread",
    ),
    "another-was-larger": (
        {"candidates": (LARGER,)},
        (
            "mysqld [99] held more (200.0 MiB against 125.4 MiB) and was spared for its "
            "oom_score_adj of -997, against -3"
        ),
    ),
    "in-vain": (
        {"domain": held(anon_bytes=4 * MIB, shmem_bytes=110 * MIB, file_bytes=110 * MIB)},
        (
            "python3 had 125.0 MiB resident, and at most 4.0 MiB of it was charged here: its kill "
            "could free no more"
        ),
    ),
    "young": (
        {"victims": (one(pid_in_container=1, uptime_seconds=3.25),)},
        "the process died 3.2 s after its start, so the limit may be below what the start needs",
    ),
    "short-lived": (
        {"victims": (one(uptime_seconds=3.25),)},
        "; the process died 3.2 s after its start",
    ),
    "oom-group": (
        {"oom": Oom("memcg", 0, group=True), "victims": (one(), one(pid=2))},
        "memory.oom.group killed 2 processes together",
    ),
    "from-outside": (
        {"victims": (one(from_outside=True),)},
        "python3 [4711] came into the container from outside, as an exec probe, kubectl exec or",
    ),
    "init-container": (
        {"container_type": "init"},
        "it is an init container: the pod does not start before it has succeeded",
    ),
    "virtual-machine": (
        {"victims": (one(cgroup=f"/kata_overhead/{ID}", command="qemu-system-x86"),)},
        "qemu-system-x86 [4711] ran the sandbox's virtual machine, which all of the pod's",
    ),
    "first-process": (
        {"victims": (one(pid_in_container=1),)},
        "it was PID 1 of its PID namespace, which ends with it",
    ),
    "child": (
        {"victims": (one(pid_in_container=7),)},
        "the killed process is not PID 1: the container may live on without it",
    ),
    "other-container": (
        {"domain": POD_DOMAIN, "trigger": Trigger(1, 1, "asker", f"{POD}/{OTHER}", None)},
        "the memory was asked for by asker of another container of the pod",
    ),
}

# A rule's name: changes under which its numbers are too small, unknown, or mean something else.
SILENT: list[tuple[str, dict[str, Any]]] = [
    ("sysrq", NODE),
    ("node", {}),
    ("anonymous-memory", {"domain": held(anon_bytes=31 * MIB)}),
    ("anonymous-memory", {"domain": held(anon_bytes=None)}),
    ("anonymous-memory", {"domain": replace(held(anon_bytes=MIB), usage_bytes=None)}),
    ("tmpfs", {"domain": held(shmem_bytes=31 * MIB, file_bytes=100 * MIB)}),
    ("page-cache", {"domain": held(shmem_bytes=80 * MIB, file_bytes=84 * MIB)}),
    ("page-cache", {"domain": held(shmem_bytes=None, file_bytes=84 * MIB)}),
    ("slab", {"domain": held(slab_reclaimable_bytes=None, slab_unreclaimable_bytes=99 * MIB)}),
    ("kernel-memory", {"domain": held(kernel_bytes=64 * MIB, pagetables_bytes=40 * MIB)}),
    ("not-told-apart", {"domain": held(anon_bytes=0, file_bytes=0, kernel_bytes=0)}),
    ("not-told-apart", {"domain": held(anon_bytes=None, file_bytes=0, kernel_bytes=None)}),
    ("little", {"victims": (one(rss=rss(2)),)}),  # memory.stat says where it was
    ("limit-lowered", {"domain": replace(held(), usage_bytes=129 * MIB)}),
    (
        "limit-lowered",  # the stack proves that it was none
        {
            "domain": replace(held(), usage_bytes=129 * MIB),
            "trigger": asked_by("sock_sendmsg", of=WRITER),
        },
    ),
    ("limit-lowered", {"trigger": WRITER}),  # a worker of the kernel's may ask from outside
    (
        "limit-lowered",  # nobody knows where that is
        {
            "domain": replace(held(), usage_bytes=129 * MIB),
            "trigger": Trigger(9, 9, "runc", "…/cut", None),
        },
    ),
    ("not-resized", {"domain": pod_of(app(63, 64), PAUSE, anon_bytes=63 * MIB)}),
    ("not-resized", {"domain": pod_of(app(63, None), PAUSE, anon_bytes=63 * MIB)}),
    (
        "not-resized",  # no pod's, but what somebody made above it
        {
            "domain": replace(
                held(limit=64, cgroup="/kubepods", anon_bytes=63 * MIB), children=(app(63, 96),)
            )
        },
    ),
    ("memory-and-swap", {"domain": replace(MEMSW, swap_usage_bytes=32 * MIB)}),  # full on v2
    ("memory-and-swap", {"domain": MEMSW}),  # memory's own limit was
    ("memory-and-swap", {"domain": replace(MEMSW, usage_bytes=50 * MIB)}),
    ("left-behind", {"domain": pod_of(app(60), PAUSE, anon_bytes=60 * MIB)}),
    ("left-behind", {"domain": pod_of(app(50), PAUSE, gone_bytes=15 * MIB)}),
    ("left-behind", {"domain": POD_DOMAIN, "victims": (one(usage_bytes=MIB),)}),
    ("uncharged", NODE | {"victims": (one(rss=Rss(MIB, 12 * MIB, 0), usage_bytes=2 * MIB),)}),
    ("uncharged", NODE | {"victims": (one(rss=Rss(MIB, 736 * MIB, 0), usage_bytes=900 * MIB),)}),
    ("uncharged", {"victims": (one(rss=Rss(MIB, 736 * MIB, 0), usage_bytes=2 * MIB),)}),
    ("unknown", UNTOLD | {"inferred": True}),
    ("unknown", UNTOLD | {"hook": "fentry"}),
    ("unknown", UNTOLD | {"oom": Oom(order=0)}),
    ("sandbox", {"domain": MAPPED, "victims": (one(rss=Rss(MIB, 0, 90 * MIB)),)}),
    ("sandbox", {"domain": MAPPED, "victims": (one(command="exe"),)}),
    ("shared-mapping", {"domain": MAPPED, "victims": (one(rss=Rss(MIB, 0, 48 * MIB)),)}),
    (
        "shared-mapping",  # whether it is the same half twice, nobody knows
        {
            "domain": MAPPED,
            "victims": (one(rss=Rss(0, 0, 48 * MIB)), one(pid=2, rss=Rss(0, 0, 48 * MIB))),
            "oom": Oom("memcg", 0, group=True),
        },
    ),
    ("tmpfs", {"domain": MAPPED, "victims": (one(rss=Rss(MIB, 0, 96 * MIB)),)}),
    ("tmpfs", {"domain": MAPPED, "victims": (one(command="runsc-sandbox"),)}),
    ("vmalloc", {"domain": held(vmalloc_bytes=31 * MIB, kernel_bytes=64 * MIB)}),
    ("per-cpu-memory", {"domain": held(percpu_bytes=None, kernel_bytes=64 * MIB)}),
    ("zswap", {"domain": held(zswap_bytes=31 * MIB, kernel_bytes=64 * MIB)}),
    ("other-kernel-memory", {"domain": held(kernel_bytes=90 * MIB)}),
    ("other-kernel-memory", {"domain": held(kernel_bytes=70 * MIB, pagetables_bytes=40 * MIB)}),
    ("huge-pages", {"domain": held(hugetlb_bytes=None, anon_bytes=MIB)}),
    ("pinned-pages", {"domain": held(pinned_bytes=31 * MIB)}),
    ("uncounted", {"domain": held(anon_bytes=97 * MIB)}),
    ("uncounted", {"domain": held(anon_bytes=MIB, kernel_bytes=None)}),
    ("not-the-killed", {"domain": NO_STAT, "victims": (one(rss=rss(2)),)}),
    ("not-the-killed", {"domain": NO_STAT, "victims": (one(rss=Rss()),)}),
    ("mix", {"domain": held(anon_bytes=100 * MIB, shmem_bytes=28 * MIB, file_bytes=28 * MIB)}),
    ("in-vain", {"domain": held(anon_bytes=100 * MIB)}),
    ("in-vain", {"domain": held(anon_bytes=None)}),
    ("in-vain", {"domain": held(), "victims": (one(rss=rss(20)),)}),
    ("short-lived", {"victims": (one(uptime_seconds=60.0),)}),
    ("from-outside", {}),
    ("from-outside", {"victims": (one(from_outside=False),)}),
    (
        "from-outside",  # it is no more than the others
        {
            "victims": (one(from_outside=True, rss=rss(50)), one(pid=2, rss=rss(50))),
            "oom": Oom("memcg", 0, group=True),
        },
    ),
    ("neighbours", {"domain": pod_of(app(60), cache(4), anon_bytes=60 * MIB)}),
    ("forking", {}),
    ("forking", {"trigger": asked_by("handle_mm_fault", "copy_process")}),
    ("another-was-larger", {"candidates": None}),
    ("another-was-larger", {"candidates": (replace(LARGER, oom_score_adj=-3),)}),
    ("another-was-larger", {"candidates": (replace(LARGER, oom_score_adj=None),)}),
    ("another-was-larger", {"candidates": (replace(LARGER, rss_bytes=HELD),)}),
    ("another-was-larger", {"candidates": (LARGER,), "victims": (one(swap_bytes=None),)}),
    (
        "another-was-larger",  # it died as well
        {
            "candidates": (LARGER,),
            "victims": (one(), one(pid=99)),
            "oom": Oom("memcg", 0, group=True),
        },
    ),
    ("neighbours", {"victims": (one(usage_bytes=MIB),)}),
    ("neighbours", {"domain": POD_DOMAIN, "victims": (one(usage_bytes=256 * MIB),)}),
    ("many-processes", {"victims": (one(rss=rss(12)),), "candidates": tasks(6, 11)}),
    ("many-processes", {"victims": (one(rss=rss(32)),), "candidates": tasks(9, 11)}),
    (
        "many-processes",  # it was in no process
        {
            "victims": (one(rss=rss(1)),),
            "candidates": tasks(9, 1),
            "domain": held(shmem_bytes=MIB * 99),
        },
    ),
    (
        "many-processes",
        {"victims": (one(rss=rss(1)),), "candidates": (*tasks(9, 1), Candidate(1, "unknown"))},
    ),
    ("free-elsewhere", free_in(zone(200))),
    ("free-elsewhere", free_in(zone(100), zone(100, allowed=False))),  # no one reason
    ("free-elsewhere", of_node(nodes=(NumaNode(allowed=False, zones=(zone(10),)),))),
    ("free-elsewhere", NODE),
    ("node-holders", NODE),
    ("node-holders", of_node(*THREE) | {"oom": Oom("cpuset", 0)}),
    ("over-request", of_node(row("a", 400, request=351), row("b", 200))),
    ("node-grew", of_node(row("a", 400, grew_minute_bytes=49 * MIB, grew_hour_bytes=49 * MIB))),
    ("node-grew", of_node(row("a", 400))),
    ("over-request", of_node(row("a", 400, request=100)) | {"oom": Oom("cpuset", 0)}),
    ("host-share", of_node(host_bytes=249 * MIB)),
    ("host-share", of_node(host_bytes=400 * MIB) | {"oom": Oom("memory_policy", 0)}),
    ("removed-cgroups", of_node(gone_bytes=99 * MIB)),
    ("node-kernel", of_node(slab_reclaimable_bytes=249 * MIB)),
    ("node-tmpfs", of_node(shmem_bytes=249 * MIB, file_bytes=249 * MIB)),
    ("node-tmpfs", of_node(shmem_bytes=300 * MIB) | {"oom": Oom("cpuset", 0)}),
    ("node-page-cache", of_node(shmem_bytes=60 * MIB, file_bytes=309 * MIB)),
    ("node-page-cache", of_node(file_bytes=300 * MIB)),  # how much of it is tmpfs is unknown
    ("node-huge-pages", of_node(hugetlb_bytes=99 * MIB)),
    ("unaccounted", of_node(unaccounted_bytes=99 * MIB)),
    ("swap-full", {"domain": replace(SWAP, swap_usage_bytes=60 * MIB)}),
    ("swap-full", {"domain": replace(SWAP, swap_limit_bytes=0, swap_usage_bytes=0)}),
    ("swap-full", {"domain": replace(SWAP, swap_usage_bytes=None)}),
    ("allocating-task", NODE | {"message": "Out of memory"}),
    ("contiguous", {"oom": Oom("memcg", 3)}),
    ("contiguous", {"domain": None, "oom": Oom("none", 1)}),
    ("limit-had-been-lowered", {"before": GROWING}),
    ("leak", {"before": before(lambda _: 31, 600)}),
    ("leak", {"before": before(lambda at: 20 + at, 55)}),
    ("waited-for-memory", {"before": GROWING}),
    ("waited-for-memory", {"before": stalled(4.9, 4.9, avg10=4.9)}),
    ("waited-for-memory", {"before": stalled(101.0, None, avg10=-1.0)}),
    ("waited-for-memory", {"before": stalled(40.0, 22.0), **NODE}),
    ("waited-for-memory", {"before": thrashing(9.9)}),
    ("waited-for-memory", {"before": thrashing(stalled_seconds=1.9)}),
    ("waited-for-memory", {"before": thrashing(stalled_seconds=None)}),
    ("waited-for-memory", {"before": thrashing(), **NODE}),
    ("waited-for-memory", {"before": UNSTALLED}),
    ("read-again", {"before": thrashing(file_bytes=127 * MIB)}),
    ("read-again", {"before": thrashing(file_bytes=None, anon_bytes=None)}),
    ("read-again", {"before": thrashing(9.9, file_bytes=300 * MIB)}),  # long ago, perhaps
    ("read-again", {"before": thrashing(file_bytes=300 * MIB), **NODE}),
    ("spike", {"before": GROWING}),
    ("ramp", {"before": GROWING}),
    ("start-up", {"before": before(lambda at: 6.4 * at, 20, whole_life=False)}),
    ("sawtooth", {"before": GROWING}),
    ("plateau", {"before": before(lambda at: at, 99, at_limit_seconds=9)}),
    ("young", {"victims": (one(uptime_seconds=60.0),)}),
    ("young", {"victims": (one(uptime_seconds=None),)}),
    ("young", {"victims": (YOUNG,), "domain": MAPPED}),
    ("young", {"victims": (YOUNG,), "domain": held(sock_bytes=96 * MIB)}),
    ("young", {"victims": (YOUNG,), "domain": POD_DOMAIN}),
    ("young", {"victims": (YOUNG, one(pid=2)), "oom": Oom("memcg", 0, group=True)}),
    (
        "young",
        {
            "victims": (YOUNG,),
            "domain": replace(held(anon_bytes=120 * MIB), limit_bytes=100 * MIB),
            "trigger": WRITER,
        },
    ),
    ("young", {"victims": (YOUNG,), "domain": held(anon_bytes=90 * MIB, gone_bytes=32 * MIB)}),
    ("oom-group", {"oom": Oom("memcg", 0, group=True)}),
    ("init-container", {}),
    ("init-container", {"container_type": "sidecar"}),
    ("virtual-machine", {"victims": (one(cgroup=f"/docker/{ID}", command="qemu-system-x86"),)}),
    ("first-process", {"victims": (one(pid=1, pid_in_container=1),)}),
    ("child", {"victims": (one(pid_in_container=None),)}),
    ("other-container", {"trigger": Trigger(1, 1, "asker", f"{POD}/{ID}", None)}),
]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (free_in(zone(200, allowed=False)), "in zones that such memory is not taken from"),
        (
            free_in(zone(200, free_fitting_bytes=0), order=3),
            "in smaller pieces than were asked for",
        ),
        (free_in(zone(200, reserve_bytes=190 * MIB)), "191.0 MiB was free, but held back"),
        (free_in(zone(200, highatomic_bytes=180 * MIB)), "181.0 MiB was free, but held back"),
    ],
)
def test_why_what_was_free_was_of_no_use(changes: dict[str, Any], words: str) -> None:
    assert words in str(explained(**changes).verdict)


def test_the_advice_has_the_requests_to_set() -> None:
    found = explained(**of_node(row("a", 400, request=100), row("b", 200, request=64)))
    (step,) = [step for step in next_steps(found) if step.name == "over-request"]
    assert "a from 100.0 MiB to 400.0 MiB, b from 64.0 MiB to 200.0 MiB." in step.text


def test_what_has_no_request_is_all_over_it() -> None:
    found = explained(**of_node(row("a", 400, request=100), row("b", 350, request=0)))
    assert "b used 350.0 MiB with no memory request" in str(found.verdict)
    (step,) = [step for step in next_steps(found) if step.name == "over-request"]
    assert "b from none to 350.0 MiB, a from 100.0 MiB to 400.0 MiB." in step.text


def test_every_rule_is_tested() -> None:
    assert list(SPEAKS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_speaks(name: str) -> None:
    changes, words = SPEAKS[name]
    shown = explained(**changes)
    assert words in str(shown.verdict)
    advised = f"verdicts.md#{name}" in [step.link for step in next_steps(shown)]
    assert advised is bool(RULES[NAMES.index(name)].advice)


@pytest.mark.parametrize(("name", "changes"), SILENT)
def test_it_is_silent(name: str, changes: dict[str, Any]) -> None:
    assert RULES[NAMES.index(name)].says(explained(**changes)) is None


def test_a_plateau_close_to_the_limit_says_between_what() -> None:
    verdict = explained(before=before(lambda at: 31 if at < 200 else 118 + at % 7, 400)).verdict
    assert "usage was 118.6 to 128.0 MiB, close to the limit, for 3 min 3 s" in str(verdict)
    verdict = explained(before=before(lambda _: 120, 400)).verdict
    assert "usage was 120.0 to 128.0 MiB for all of the 6 min 40 s recorded" in str(verdict)


def test_a_write_of_the_limit_is_proved_by_its_stack_from_wherever() -> None:
    """By a process in the container itself, and where the usage has come down meanwhile."""
    for stack in (("memory_max_write",), ("mem_cgroup_resize_max",)):
        found = explained(trigger=asked_by(*stack))
        assert found.trigger.by == "limit_write"
        assert "; asker [1] lowered the limit to less than was in use (128.0 MiB)" in str(
            found.verdict
        )


def test_sysrq_is_proved_by_its_stack() -> None:
    found = explained(trigger=asked_by("moom_callback", of=WRITER), domain=None, oom=Oom())
    assert (found.scope, found.trigger.by) == ("manual", "sysrq")


def test_what_another_container_was_doing() -> None:
    other = Trigger(9, 9, "fill", f"{POD}/{OTHER}", None)
    words = explained(trigger=asked_by("shmem_write_begin", "generic_perform_write", of=other))
    assert str(words.verdict).endswith(
        "asked for by fill of another container of the pod, for tmpfs or shared memory"
    )


def test_a_short_wait_and_one_of_some_alone() -> None:
    words = explained(before=stalled(3.0, None, avg10=19.5)).verdict
    assert str(words).endswith("something in it waited for memory about 20 % of the last 10 s")
    words = explained(before=stalled(40.0, 4.0)).verdict
    assert str(words).endswith("waited for memory about 40 % of the last minute")


def test_where_there_is_no_pressure_reclaim_tells_that_it_waited() -> None:
    verdict = str(explained(before=thrashing(anon_bytes=200 * MIB, file_bytes=129 * MIB)).verdict)
    assert (
        "in the 40.0 s before, its tasks had to reclaim memory 12300 times, which took them 21.0 s"
    ) in verdict
    assert "200.0 MiB of its heap had been reclaimed and swapped in again" in verdict


def test_with_nothing_to_remark_it_is_one_clause() -> None:
    assert explained().verdict == (
        "its own limit (128.0 MiB): 96 % (124.0 MiB) is anonymous memory of python3"
    )


def test_every_large_place_is_named_the_largest_first() -> None:
    mixed = held(anon_bytes=40 * MIB, shmem_bytes=80 * MIB, file_bytes=80 * MIB)
    verdict = str(explained(domain=mixed, victims=(one(rss=rss(12)),)).verdict)
    assert verdict.endswith(
        ": 62 % (80.0 MiB) is shared memory or tmpfs, most of it mapped by no process (look at "
        "memory-backed emptyDir volumes and /dev/shm), 31 % (40.0 MiB) is anonymous memory, "
        "12.0 MiB of it python3's"
    )


def test_memory_that_is_not_the_victims_is_not_called_its_own() -> None:
    verdict = str(explained(victims=(one(rss=rss(12)),)).verdict)
    assert verdict.endswith("is anonymous memory, 12.0 MiB of it python3's")
    charged_elsewhere = explained(victims=(one(rss=rss(300)),))
    assert str(charged_elsewhere.verdict).endswith("(124.0 MiB) is anonymous memory")


def test_approximate_numbers_are_called_so() -> None:
    rough = held(anon_bytes=124 * MIB, approximate=True)
    assert ": approximately 96 % (124.0 MiB)" in str(explained(domain=rough).verdict)
    more = held(anon_bytes=130 * MIB, approximate=True)
    verdict = str(explained(domain=more).verdict)
    assert ": approximately 130.0 MiB is anonymous memory" in verdict
    assert "%" not in verdict


def test_outside_a_pod_tmpfs_is_no_volume() -> None:
    cgroup = "/system.slice/cron.service"
    full = held(cgroup=cgroup, shmem_bytes=96 * MIB, file_bytes=96 * MIB)
    verdict = str(explained(domain=full, victims=(one(cgroup=cgroup),)).verdict)
    assert "(look at tmpfs mounts and /dev/shm)" in verdict


def test_a_container_of_another_pod_is_not_of_the_pod() -> None:
    asker = Trigger(1, 1, "asker", f"{OTHER_POD}/{OTHER}", None)
    verdict = str(explained(domain=held(cgroup="/kubepods"), trigger=asker).verdict)
    assert verdict.endswith("by asker of another container")


def test_a_young_child_says_nothing_of_the_containers_start() -> None:
    verdict = str(explained(victims=(one(uptime_seconds=0.3),)).verdict)
    assert verdict.endswith("the process died 300 ms after its start")


def test_every_rule_has_its_section_and_its_advice_there() -> None:
    _, *sections = re.split(r"^### ", DOCUMENT.read_text(), flags=re.MULTILINE)
    told = dict(section.split("\n", 1) for section in sections)
    assert list(told) == NAMES
    for rule in RULES:
        assert rule.advice in " ".join(told[rule.name].split())


def test_next_steps_are_those_of_the_verdict_the_most_telling_first() -> None:
    steps = next_steps(explained(candidates=(LARGER,)))
    links = [step.link.removeprefix("verdicts.md#") for step in steps]
    assert links == ["anonymous-memory", "another-was-larger", "own-limit"]
    assert all(step.text.endswith(".") for step in steps)
    assert next_steps(incident(scope=None)) == ()
