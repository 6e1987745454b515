# SPDX-License-Identifier: Apache-2.0
"""Every overlay and the chart with each of its ci values, applied for real until it is Ready."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import (
    FOREIGN,
    Exporter,
    deployed,
    gone,
    overlay,
    served,
)
from ..support.cluster.pods import NAMESPACE, SIDE, container, pod
from ..support.kernel.cgroups import MIB
from ..support.manifests import CHART, NAME, OVERLAYS, charted, environment, run, tool
from ..support.manifests import container as only_container
from ..support.runtimes.image import IMAGE

# What a node has where the overlay is for it; on others its pod does not start.
FOLDERS = {
    "docker": "/var/lib/docker/containers",
    "microk8s": "/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
}
# What it says first where nobody takes what it sends.
UNSENT = (f"{NAME}: send to ", f"{NAME}: --webhook.config: ")
NUMBERS = itertools.count()
LIMIT_MIB = 40
HELM_SECONDS = 300


@contextlib.contextmanager
def folder_of(name: str) -> Iterator[None]:
    """Furnish the node for an overlay."""
    if name not in FOLDERS:
        yield
        return
    path = Path(FOLDERS[name])
    path.mkdir(parents=True)
    try:
        yield
    finally:
        path.rmdir()


@contextlib.contextmanager
def secrets_of(name: str, cluster: Cluster) -> Iterator[None]:
    """Furnish the namespace for an overlay."""
    if name != "fleet":
        yield
        return
    webhooks = {"name": "chat", "url": "http://127.0.0.1:9/", "template": "generic"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{NAME}-webhooks", "namespace": NAME},
        "stringData": {"webhooks.yml": json.dumps({"webhooks": [webhooks]})},
    }
    cluster.kubectl.apply([secret])
    try:
        yield
    finally:
        cluster.kubectl.delete([secret])


def may_give(objects: list[Any]) -> None:
    """Skip what asks for more than there is: a runtime cannot hand on what it has not."""
    capabilities = only_container(objects)["securityContext"]["capabilities"]["add"]
    for word, bit in (("SYS_RESOURCE", 24), ("SYS_ADMIN", 21)):
        if word in capabilities and not bounding_set() >> bit & 1:
            pytest.skip(f"nobody has CAP_{word} on this machine; in the guest everybody has")


def bounding_set() -> int:
    (line,) = [
        each for each in Path("/proc/self/status").read_text().splitlines() if "CapBnd" in each
    ]
    return int(line.split()[1], 16)


def check(cluster: Cluster, exporter: Exporter, objects: list[Any]) -> str:
    """It watches, has nothing to complain of, and names a kill as it is set up to; return how."""
    ((probe, _),) = exporter.samples("container_oomkill_probe_info")
    # Kills of others on this machine are in the log too, as what is no pod's, and it says that
    # nobody is where the overlay `fleet` would have them sent.
    own = [each for each in exporter.log().splitlines() if each.startswith(NAME)]
    own = [each for each in own if not each.startswith(UNSENT)]
    assert own == [f"{NAME}: attached with {probe['hook']}, listening on [::]:9262"]
    name = f"killed-{next(NUMBERS)}"
    killed = pod(name, container("app", "name greedy until /control/go anon 64", LIMIT_MIB), SIDE)
    cluster.kubectl.apply([killed])
    try:
        provoke.go(cluster, name)  # once the API knows the container: it may be the only one
        wait_for(lambda: exporter.of(name), f"no record of {name}")
        (record,) = exporter.of(name)
        created = cluster.api.get(f"{provoke.PODS}/{name}")
        asks = environment(objects).get("CONTAINER_OOMKILL_KUBERNETES") == "true"
        found = dict(record["container"])
        assert len(found.pop("id")) == 64
        assert found == {
            "name": "app",
            "runtime": "containerd",
            "image": IMAGE,
            "pod": name,
            "namespace": NAMESPACE,
            "pod_uid": created["metadata"]["uid"],
            "workload": f"Pod/{name}" if asks else None,
            "type": "app" if asks else None,
            "memory_request_bytes": LIMIT_MIB * MIB if asks else None,  # its limit's, by default
            "service": None,
            "unresolved": None,
        }
        assert record["scope"] == "container"
        whose = {"namespace": NAMESPACE, "pod": name}
        assert exporter.value("container_oomkill_total", container="app", **whose) == 1
        assert exporter.samples("container_oomkill_total", container="side", **whose)  # at 0
        assert exporter.value("container_oomkill_total", container="side", **whose) == 0
        if environment(objects).get("CONTAINER_OOMKILL_KUBERNETES_EVENTS") == "true":
            wait_for(lambda: "OOMKilling" in cluster.kubectl.describe(NAMESPACE, name), "no Event")
    finally:
        cluster.kubectl.delete([killed])
    return f"Ready by {probe['hook']}, a kill named{' with its workload' if asks else ''}"


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlay(name: str, cluster: Cluster) -> None:
    objects = overlay(name)
    left_out = sorted(each["kind"] for each in objects if each not in served(objects))
    may_give(objects)
    with (
        folder_of(name),
        secrets_of(name, cluster),
        deployed(cluster.api, cluster.kubectl, objects) as (exporter, seconds),
    ):
        words = check(cluster, exporter, objects)
        if left_out:
            words += f", without {', '.join(left_out)}: nobody serves them here"
        table.add("overlays, applied for real", name, words, seconds)


@pytest.mark.parametrize("name", OVERLAYS)
def test_chart(name: str, cluster: Cluster) -> None:
    values = str(CHART / "ci" / f"{name}-values.yaml")
    objects = charted("--values", values)
    may_give(objects)
    exporter = Exporter(cluster.api, cluster.kubectl)
    if any(each["apiVersion"].startswith(FOREIGN) for each in objects):
        # helm refuses what the API does not know, as it should
        with folder_of(name), deployed(cluster.api, cluster.kubectl, objects) as (_, seconds):
            words = f"{check(cluster, exporter, objects)}, by helm template"
            table.add("chart", name, words, seconds)
        return
    helm = (tool("helm"), "--namespace", NAME)
    with folder_of(name), secrets_of(name, cluster):
        started = time.monotonic()
        install = (*helm, "install", NAME, str(CHART), "--values", values)
        done = run(*install, "--wait", "--timeout", f"{HELM_SECONDS}s")
        try:
            assert done.returncode == 0, done.stderr + exporter.describe()
            # helm does not wait for what maxUnavailable allows to be away: one of one node.
            wait_for(exporter.is_ready, "the DaemonSet is not ready")
            seconds = time.monotonic() - started
            words = f"{check(cluster, exporter, objects)}, by helm install"
            table.add("chart", name, words, seconds)
        finally:
            removed = run(*helm, "uninstall", NAME, "--wait")
            assert removed.returncode == 0, removed.stderr
            gone(cluster.api)
