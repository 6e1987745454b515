# SPDX-License-Identifier: Apache-2.0
"""The table of kinds of pods that are killed, and of what is to be told of each kill."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..support.cluster import provoke
from ..support.cluster.api import Object
from ..support.cluster.control_plane import NODE
from ..support.cluster.pods import (
    GREEDY,
    SIDE,
    container,
    cron_job,
    deployment,
    job,
    pod,
    stateful_set,
)


@dataclass(frozen=True)
class Kind:
    """A kind of pod, how it is killed, and what is expected then.

    ``pod``: its name, or how that begins. ``status``: what the API says of the container's end, and
    nothing where it says nothing. ``says``, ``says_not``: regular expressions for the verdict.
    ``kill``: which one of this container. ``only``: "v1" or "v2", of the memory controller.
    """

    name: str
    objects: tuple[Object, ...]
    pod: str
    container: str
    workload: str
    scope: str
    limit_mib: int
    says: tuple[str, ...]
    says_not: tuple[str, ...] = ()
    status: str = "OOMKilled 137"
    status_v2: str | None = None  # where it differs there
    type: str = "app"
    field_path: str = ""
    provoke: Callable[..., None] = provoke.nothing
    kill: int = 1
    oom_score_adj: int | None = None
    only: str = ""

    def __str__(self) -> str:
        return re.sub(r"\W+", "-", self.name).strip("-")


def _kind(name: str, first: Object, **more: Any) -> Kind:
    """``first``: the object whose name the pod's begins with."""
    named, kind = first["metadata"]["name"], first["kind"]
    values: dict[str, Any] = {
        "objects": (first,),
        "pod": named,
        "container": "app",
        "workload": f"{kind}/{named}",
        "scope": "container",
        "field_path": f"spec.containers{{{more.get('container', 'app')}}}",
    }
    return Kind(name=name, **(values | more))


def alone(name: str, first: Object, **more: Any) -> Kind:
    """One container, by the limit that the user wrote on it."""
    says = (r"^(apparently )?its own limit \(48\.0 MiB\): 9\d % .* anonymous memory of greedy",)
    values = {"says": says, "says_not": ("shared by",), "limit_mib": 48}
    return _kind(name, first, **(values | more))


PROBE = {
    "exec": {"command": ["/hog", "name", "probing", "anon", "64"]},
    "periodSeconds": 1,
    "timeoutSeconds": 60,  # it must die for its memory, on a slow machine too
}
CACHE = {"name": "cache", "emptyDir": {"medium": "Memory"}}
OWN = r"^(apparently )?its own limit \({}\.0 MiB\): 9\d % .*anonymous memory of {}"

KINDS = (
    alone("one container", deployment("cart", GREEDY)),
    _kind(
        "own limit beside a sidecar",
        stateful_set("db", container("app", "name tail anon 64", 40), SIDE),
        limit_mib=40,
        says=(OWN.format(40, "tail"),),
    ),
    _kind(
        "pod-level limit",
        pod(
            "pooled",
            container("app", "name tail until /control/go anon 64"),
            container("cache", "anon 20 wait"),
            resources={"limits": {"memory": "64Mi"}},
        ),
        provoke=provoke.go,
        scope="pod",
        limit_mib=64,
        says=(
            r"^(apparently )?its pod's limit \(64\.0 MiB\), shared by all",
            r"its own cgroup held 4\d\.\d MiB of that, cache 2\d\.\d MiB",
        ),
        only="v2",
    ),
    _kind(
        "child of PID 1",
        pod("worker", container("app", "name first child 64 wait", 40), SIDE),
        limit_mib=40,
        says=(
            r"^(apparently )?its own limit \(40\.0 MiB\)",
            "not PID 1|memory.oom.group killed 2 processes",
        ),
        status="nothing",
        status_v2="OOMKilled 137",
    ),
    _kind(
        "init container",
        pod(
            "starting",
            container("main", "wait", 48),
            initContainers=[container("prepare", "name migrate anon 64", 24)],
        ),
        container="prepare",
        limit_mib=24,
        says=(OWN.format(24, "migrate"), "init container"),
        type="init",
        field_path="spec.initContainers{prepare}",
    ),
    _kind(
        "sidecar (restartable init)",
        pod(
            "meshed",
            container("main", "wait", 48),
            initContainers=[container("proxy", "name envoy anon 64", 24, restartPolicy="Always")],
        ),
        container="proxy",
        limit_mib=24,
        says=(OWN.format(24, "envoy"),),
        type="sidecar",
        field_path="spec.initContainers{proxy}",
    ),
    _kind(
        "ephemeral container",
        pod("debugged", container("main", "anon 4 wait", 48)),
        container="debugger",
        provoke=provoke.debug,
        scope="pod",
        limit_mib=48,
        says=(
            r"^(apparently )?its pod's limit \(48\.0 MiB\), shared by all",
            "anonymous memory of greedy",
        ),
        type="ephemeral",
        field_path="spec.ephemeralContainers{debugger}",
    ),
    alone(
        "static pod",
        pod("proxy", GREEDY),
        objects=(),
        pod=f"proxy-{NODE}",
        workload=f"Node/{NODE}",
        provoke=provoke.static_pod(pod("proxy", GREEDY)),
    ),
    alone("Job", job("report", GREEDY)),
    alone(
        "CronJob",
        cron_job("nightly", GREEDY),
        workload="CronJob/nightly",
        provoke=provoke.cron_job("nightly"),
    ),
    _kind(
        "tmpfs emptyDir left behind",
        pod(
            "caching",
            container(
                "app",
                "write /cache/file 40 name filling anon 32",
                64,
                volumeMounts=[{"name": "cache", "mountPath": "/cache"}],
            ),
            volumes=[CACHE],
            restartPolicy="Always",
        ),
        kill=2,
        limit_mib=64,
        says=(
            r"^(apparently )?its own limit \(64\.0 MiB\): 6\d % .* is shared memory or tmpfs",
            r"40\.\d MiB is charged to the pod by no living container: files in tmpfs",
        ),
        says_not=("below what the start needs", "shared by"),
    ),
    _kind(
        "resize lowered the limit",
        pod("shrunk", container("app", "name jvm anon 56 until /control/go anon 60", 200)),
        provoke=provoke.resize_and_go(64),
        limit_mib=64,
        says=(r"the limit had been lowered from 200\.0 MiB to 64\.0 MiB",),
    ),
    _kind(
        "exec probe",
        pod("probed", container("app", "anon 1 wait", 48, livenessProbe=PROBE), SIDE),
        limit_mib=48,
        says=(
            r"^(apparently )?its own limit \(48\.0 MiB\)",
            "probing .*came into the container from outside, as an exec probe",
            r"not PID 1|the program itself held \d",  # which dies with it on cgroup v2
        ),
    ),
    alone(
        "Guaranteed",
        pod(
            "guaranteed",
            {
                **GREEDY,
                "resources": {
                    each: {"memory": "48Mi", "cpu": "10m"} for each in ("requests", "limits")
                },
            },
        ),
        oom_score_adj=-997,
    ),
    _kind(
        "BestEffort",
        pod("besteffort", container("app", "name greedy until /control/go anon 64")),
        provoke=provoke.limit_besteffort(48),
        scope="cgroup",
        limit_mib=48,
        says=(r"^(apparently )?the limit \(48\.0 MiB\) of the cgroup /.+/besteffort above it",),
        oom_score_adj=1000,
    ),
)
