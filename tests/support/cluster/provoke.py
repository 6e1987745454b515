# SPDX-License-Identifier: Apache-2.0
"""Takes a pod that is there, gives the reason for its kill; what a row of `kinds` names.

Each is called with the cluster and the beginning of the pod's name, once its objects are applied.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from ..kernel.cgroups import Cgroup
from .api import Object
from .cluster import Cluster
from .daemons import wait_for
from .namespaces import CGROUP
from .pods import NAMESPACE, container

STARTED_SECONDS = 10.0  # a limit that is set while a program starts is not told as lowered
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
VOLUME = "/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/control"


def nothing(_cluster: Cluster, _pod: str) -> None:
    """It grows by itself."""


def go(cluster: Cluster, name: str) -> None:
    """Let a hog go on behind ``until /control/go``, once all of its pod run."""
    go_file(running(cluster, name)["metadata"]["uid"]).touch()


def go_file(uid: str) -> Path:
    """Where a pod's hog looks for ``/control/go``, on the node."""
    return Path(VOLUME.format(uid=uid), "go")


def running(cluster: Cluster, name: str) -> Object:
    """Wait for all containers of a pod to run; return it."""
    path = f"{PODS}/{name}"

    def all_run() -> bool:
        status = cluster.api.get(path)["status"]
        found = status.get("containerStatuses", ())
        return bool(found) and all("running" in each["state"] for each in found)

    wait_for(all_run, f"{name} does not run")
    return cluster.api.get(path)


def debug(cluster: Cluster, name: str) -> None:
    """What `kubectl debug` does: a container joins that is in no template and has no limit."""
    running(cluster, name)
    debugger = container("debugger", "name greedy anon 64")
    debugger.pop("resources")
    change = {"spec": {"ephemeralContainers": [debugger]}}
    cluster.api.patch(f"{PODS}/{name}/ephemeralcontainers", change)


def static_pod(wanted: Object) -> Callable[[Cluster, str], None]:
    def write(cluster: Cluster, _pod: str) -> None:
        path = cluster.node.static_pods / f"{wanted['metadata']['name']}.json"
        path.write_text(json.dumps(wanted))

    return write


def cron_job(name: str) -> Callable[[Cluster, str], None]:
    def start(cluster: Cluster, _pod: str) -> None:
        create = ["create", "job", f"{name}-1", f"--from=cronjob/{name}"]
        cluster.kubectl("--namespace", NAMESPACE, *create)

    return start


def resize(cluster: Cluster, name: str, limit_mib: int) -> None:
    sizes = {each: {"memory": f"{limit_mib}Mi"} for each in ("limits", "requests")}
    change = {"spec": {"containers": [{"name": "app", "resources": sizes}]}}
    cluster.api.patch(f"{PODS}/{name}/resize", change)


def resize_and_go(limit_mib: int) -> Callable[[Cluster, str], None]:
    """Lower the limit in place, to less than the program will need; it grows when that is done."""

    def provoke(cluster: Cluster, name: str) -> None:
        running(cluster, name)
        time.sleep(STARTED_SECONDS)
        resize(cluster, name, limit_mib)

        def done() -> bool:
            (status,) = cluster.api.get(f"{PODS}/{name}")["status"]["containerStatuses"]
            return bool(status["resources"]["limits"]["memory"] == f"{limit_mib}Mi")

        wait_for(done, f"the resize of {name}")
        go(cluster, name)

    return provoke


def limit_besteffort(mib: int) -> Callable[[Cluster, str], None]:
    """Such pods have no limit but that of the node's pods, or of their class, where it has one."""

    def provoke(cluster: Cluster, name: str) -> None:
        running(cluster, name)
        _besteffort().limit(mib)
        go(cluster, name)

    return provoke


def _besteffort() -> Cgroup:
    return Cgroup(f"{CGROUP}/kubepods/besteffort", may_exist=True)


def undo(cluster: Cluster) -> None:
    """Take back what stays once the pods' objects are deleted."""
    for path in cluster.node.static_pods.iterdir():
        path.unlink()
    _besteffort().unlimit()
