# SPDX-License-Identifier: Apache-2.0
"""A node that runs out of memory: it has an Event of its own, beside the killed pods'."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.api import Object
from ..support.cluster.cluster import Cluster
from ..support.cluster.control_plane import NODE
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import Exporter
from ..support.cluster.pods import NAMESPACE, container, pod
from ..support.cluster.settings import GUEST
from ..support.cluster.status import kill_events
from ..support.kernel.huge_pages import little_memory

pytestmark = pytest.mark.skipif(
    GUEST not in os.environ, reason="runs its node out of memory: in the guest"
)
NODES = f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={NODE}"
HOGS = 3  # each may touch 256 MiB, and what is mapped of the programs goes first


@pytest.fixture(scope="module")
def killed(cluster: Cluster, daemon_set: Exporter) -> Iterator[list[Object]]:
    """The records of a pod without any limit, of a class that is killed before all others."""
    script = "name hungry until /control/go anon 250 wait"
    wanted = pod("hungry", *(container(f"app-{number}", script) for number in range(HOGS)))
    cluster.kubectl.apply([wanted])
    try:
        provoke.running(cluster, "hungry")
        Path("/proc/sys/vm/drop_caches").write_text("1")
        before = kills()
        with little_memory():
            provoke.go(cluster, "hungry")
            # Nobody is asked meanwhile: who answers has to read its program in again and again.
            wait_for(lambda: kills() > before, "no kill")
        # Now there is room for those that are left.
        wait_for(lambda: daemon_set.of("hungry"), "no record")
        wait_for(
            lambda: ended(cluster) == len(daemon_set.of("hungry")),
            "as many ends as records",
        )
        yield daemon_set.of("hungry")
    finally:
        cluster.kubectl.delete([wanted])


def kills() -> int:
    """How many the kernel has counted since it was booted."""
    lines = Path("/proc/vmstat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["oom_kill"])


def ended(cluster: Cluster) -> int:
    """How many of its containers Kubernetes says have ended."""
    statuses = cluster.api.get(f"{provoke.PODS}/hungry")["status"]["containerStatuses"]
    return sum("terminated" in each["state"] for each in statuses)


def event(cluster: Cluster, count: int) -> Object:
    """The node's one Event of ours, once it tells of so many kills."""
    found: list[Object] = []

    def tells() -> bool:
        found[:] = cluster.api.items(f"{NODES},reason=OOMKilling")
        return any(each["count"] >= count for each in found)

    wait_for(tells, "no Event on the node")
    (only,) = found
    return only


def test_scope(killed: list[Object]) -> None:
    assert {each["scope"] for each in killed} == {"node"}
    assert {each["container"]["pod"] for each in killed} == {"hungry"}
    for each in killed:
        table.add("node-wide: our verdict", each["container"]["name"], each["verdict"])


def test_event_on_the_node(cluster: Cluster, killed: list[Object]) -> None:
    """Where the kubelet's own are, so that `kubectl describe node` shows it."""
    found = event(cluster, len(killed))
    assert found["count"] == len(killed)
    about = found["involvedObject"]
    assert (about["kind"], about["name"], about["uid"]) == ("Node", NODE, NODE)
    assert found["source"] == {"component": "container-oomkill", "host": NODE}
    last = killed[-1]
    name = f"{NAMESPACE}/hungry/{last['container']['name']}"
    assert found["message"].startswith(f"{name} was killed: {last['verdict'][:200]}")
    (shown,) = [
        line
        for line in cluster.kubectl("describe", "node", NODE).splitlines()
        if "OOMKilling" in line
    ]
    assert "container-oomkill" in shown
    assert name in shown
    for each in cluster.api.items(NODES):
        if each["reason"] in ("OOMKilling", "SystemOOM"):
            part = f"node-wide: Events on the node, {each['reason']}"
            table.add(part, each["source"]["component"], f"{each['count']} of {each['message']}")


def test_event_on_the_pod(cluster: Cluster, killed: list[Object]) -> None:
    """One for each of its containers, as of any kill."""
    names = {each["container"]["name"] for each in killed}
    wait_for(lambda: len(kill_events(cluster.api, "hungry")) >= len(names), "no Events on the pod")
    found = kill_events(cluster.api, "hungry")
    fields = {each["involvedObject"]["fieldPath"] for each in found}
    assert fields == {f"spec.containers{{{name}}}" for name in names}
