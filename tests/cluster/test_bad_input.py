# SPDX-License-Identifier: Apache-2.0
"""A DaemonSet that cannot do all of its work says so, where people look."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ..support.cluster import table
from ..support.cluster.api import Object
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import PODS, deployed, overlay
from ..support.manifests import NAME, container
from ..support.manifests import pod as pod_spec

BTF = "no /sys/kernel/btf/vmlinux"


def status(cluster: Cluster) -> Object:
    """Of the only container of the only pod; empty while there is none."""
    for each in cluster.api.items(PODS):
        for found in each["status"].get("containerStatuses", ()):
            only: Object = found
            return only
    return {}


def termination_message(cluster: Cluster) -> str:
    found = status(cluster)
    for state in (found.get("state", {}), found.get("lastState", {})):
        if "terminated" in state:
            return str(state["terminated"].get("message", "")).strip()
    return ""


def told(where: str, words: str) -> None:
    table.add("bad input: what is seen", where, words)


def without_node_name(objects: list[Any]) -> None:
    only = container(objects)
    only["env"] = [each for each in only["env"] if "NODE" not in each["name"]]


def without_token(objects: list[Any]) -> None:
    pod_spec(objects)["automountServiceAccountToken"] = False


def with_a_wrong_option(objects: list[Any]) -> None:
    wrong = {"name": "CONTAINER_OOMKILL_WEB_MAX_REQUESTS", "value": "many"}
    container(objects)["env"].append(wrong)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without_node_name, "NODE_NAME"),
        (without_token, "automountServiceAccountToken: true"),
        (with_a_wrong_option, "CONTAINER_OOMKILL_WEB_MAX_REQUESTS"),
    ],
)
def test_what_cannot_start(
    spoil: Callable[[list[Any]], None], words: str, cluster: Cluster
) -> None:
    """CrashLoopBackOff, and one line in `kubectl describe pod` says why."""
    objects = changed("kubernetes", spoil)
    with deployed(cluster.api, cluster.kubectl, objects, ready=False) as (exporter, _):
        wait_for(lambda: termination_message(cluster), "no termination message")
        message = termination_message(cluster)
        assert words in message
        assert "\n" not in message
        assert message in exporter.describe()
        told(spoil.__name__.replace("_", " "), message)


def test_no_rights(cluster: Cluster) -> None:
    """It is ready, and records; the API's no is in the log, with what to do."""
    objects = [each for each in overlay("kubernetes") if each["kind"] != "ClusterRoleBinding"]
    with deployed(cluster.api, cluster.kubectl, objects) as (exporter, _):
        wait_for(lambda: "bind a ClusterRole" in exporter.log(), "nothing in the log")
        (line,) = [each for each in exporter.log().splitlines() if "ClusterRole" in each]
        assert "403" in line
        assert exporter.value("container_oomkill_kubernetes_watch_up") == 0
        told("no rights", line)


def test_no_btf(cluster: Cluster) -> None:
    """Running and not ready; log and /readyz say why."""

    def hide(objects: list[Any]) -> None:
        pod_spec(objects)["volumes"].append({"name": "hidden", "emptyDir": {}})
        mount = {"name": "hidden", "mountPath": "/sys/kernel/btf"}
        container(objects)["volumeMounts"].append(mount)

    with deployed(cluster.api, cluster.kubectl, changed("standard", hide), ready=False) as (
        exporter,
        _,
    ):
        wait_for(lambda: "running" in status(cluster).get("state", {}), "it does not run")
        wait_for(lambda: BTF in exporter.log(), "nothing in the log")
        (line, *_) = [each for each in exporter.log().splitlines() if BTF in each]
        assert not status(cluster)["ready"]
        assert BTF in exporter.get("/readyz")
        told("no BTF", line)


def test_a_folder_that_is_not_there(cluster: Cluster) -> None:
    """The kubelet's Event says which one."""
    with deployed(cluster.api, cluster.kubectl, overlay("docker"), ready=False) as (exporter, _):
        path = "/var/lib/docker/containers"
        wait_for(lambda: f"{path} is not a directory" in exporter.describe(), "no Event")
        assert status(cluster)["state"]["waiting"]["reason"] == "ContainerCreating"
        told("no such folder", f"FailedMount: {path} is not a directory")


def test_pod_security(cluster: Cluster) -> None:
    """Without its label on the namespace: no pod; the DaemonSet's Event says what is forbidden."""
    label = ["label", "namespace", NAME, "--overwrite"]
    objects = [each for each in overlay("standard") if each["kind"] != "Namespace"]
    cluster.kubectl(*label, "pod-security.kubernetes.io/enforce=baseline")
    try:
        with deployed(cluster.api, cluster.kubectl, objects, ready=False) as (exporter, _):
            wait_for(lambda: "violates PodSecurity" in exporter.describe(), "no Event")
            (line, *_) = [
                each for each in exporter.describe().splitlines() if "violates PodSecurity" in each
            ]
            for words in ("BPF", "PERFMON", "hostPath"):
                assert words in line
            told("no Pod Security label", " ".join(line.split()))
    finally:
        cluster.kubectl(*label, "pod-security.kubernetes.io/enforce=privileged")


def changed(name: str, change: Callable[[list[Any]], None]) -> list[Any]:
    """An overlay with something else in it; the overlay itself is shared by the tests."""
    objects = copy.deepcopy(overlay(name))
    change(objects)
    return objects
