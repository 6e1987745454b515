# SPDX-License-Identifier: Apache-2.0
"""Takes names and scripts of the hog, gives objects for a Kubernetes API."""

from __future__ import annotations

from typing import Any

from ..runtimes.image import IMAGE
from .api import Object

NAMESPACE = "shop"
CONTROL = "/control"  # a folder by which the tests tell a hog to go on


def container(
    name: str,
    script: str,
    limit_mib: int | None = None,
    request_mib: int | None = None,
    **more: Any,
) -> Object:
    """A hog; ``until /control/go`` in its script waits for `Pods.go`."""
    sizes = {"limits": limit_mib, "requests": request_mib}
    made = {
        "name": name,
        "image": IMAGE,
        "command": ["/hog", *script.split()],
        "resources": {
            kind: {"memory": f"{mib}Mi"} for kind, mib in sizes.items() if mib is not None
        },
        **more,
    }
    if CONTROL in script:
        made.setdefault("volumeMounts", []).append({"name": "control", "mountPath": CONTROL})
    return made


# Two that take more than their limit, at once or when told to; and one that lives on beside them.
GREEDY = container("app", "name greedy anon 64", 48)
GREEDY_LATER = container("app", f"name greedy until {CONTROL}/go anon 64", 48)
SIDE = container("side", "anon 4 wait", 60)
# The hog has no such word, so this fails at once.
FAILING_PROBE = {
    "exec": {"command": ["/hog", "fail"]},
    "periodSeconds": 1,
    "failureThreshold": 1,
    "terminationGracePeriodSeconds": 1,
}


def stubborn(name: str, *, restarts: str = "Never", **more: Any) -> Object:
    """A pod whose PID 1 has no handler for SIGTERM, so that SIGKILL has to follow."""
    app = container("app", "name stubborn anon 8 wait", request_mib=4, **more)
    return pod(name, app, restartPolicy=restarts)


def spec(*containers: Object, **more: Any) -> Object:
    volumes = list(more.pop("volumes", ()))
    if CONTROL in str(containers):
        volumes.append({"name": "control", "emptyDir": {}})
    return {
        "containers": list(containers),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "volumes": volumes,
        **more,
    }


def pod(name: str, *containers: Object, **more: Any) -> Object:
    return _object("v1", "Pod", name, spec(*containers, **more))


def deployment(name: str, *containers: Object) -> Object:
    return _object("apps/v1", "Deployment", name, _replicated(name, containers))


def stateful_set(name: str, *containers: Object) -> Object:
    return _object("apps/v1", "StatefulSet", name, _replicated(name, containers))


def job(name: str, *containers: Object) -> Object:
    return _object("batch/v1", "Job", name, _once(containers))


def cron_job(name: str, *containers: Object) -> Object:
    """Never by itself: once a year."""
    wanted = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": _once(containers)}}
    return _object("batch/v1", "CronJob", name, wanted)


def _replicated(name: str, containers: tuple[Object, ...]) -> Object:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": spec(*containers, restartPolicy="Always"),
    }
    return {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}


def _once(containers: tuple[Object, ...]) -> Object:
    return {"backoffLimit": 0, "template": {"spec": spec(*containers)}}


def _object(version: str, kind: str, name: str, wanted: Object) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": wanted}
