# SPDX-License-Identifier: Apache-2.0
"""Limits changed in place: what the kubelet refuses, and what it leaves half done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.api import Object
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import Exporter
from ..support.cluster.pods import container, pod
from ..support.cluster.status import cgroup_of
from ..support.kernel.cgroups import MIB

PODS = provoke.PODS
BEFORE, AFTER = 48, 96


def test_to_less_than_is_used(cluster: Cluster, daemon_set: Exporter) -> None:
    """The kubelet refuses it: nothing is killed, and no limit changes."""
    wanted = pod("squeezed", container("app", "anon 60 wait", 200))
    cluster.kubectl.apply([wanted])
    try:
        provoke.running(cluster, "squeezed")
        provoke.resize(cluster, "squeezed", 40)

        def refusal() -> list[Object]:
            # Seen on cgroup v1: at first it asks the runtime, which the kernel refuses it.
            conditions = cluster.api.get(f"{PODS}/squeezed")["status"]["conditions"]
            refused = [each for each in conditions if each.get("reason") == "Error"]
            return [each for each in refused if "below current usage" in each["message"]]

        wait_for(refusal, "the resize is not refused")
        (condition,) = refusal()
        assert condition["type"] == "PodResizeInProgress"
        (status,) = cluster.api.get(f"{PODS}/squeezed")["status"]["containerStatuses"]
        assert status["resources"]["limits"]["memory"] == "200Mi"
        assert daemon_set.of("squeezed") == []
        table.add("resize", "below the usage", condition["message"])
    finally:
        cluster.kubectl.delete([wanted])


@pytest.fixture
def waiting(cluster: Cluster, daemon_set: Exporter) -> Iterator[str]:
    """A pod whose container waits for its restart after a kill, and that has had its resize."""
    wanted = pod("stuck", container("app", "name greedy anon 64 wait", BEFORE))
    wanted["spec"]["restartPolicy"] = "Always"
    cluster.kubectl.apply([wanted])
    try:

        def waits() -> bool:
            found = cluster.api.get(f"{PODS}/stuck")["status"].get("containerStatuses", ())
            return any("waiting" in each["state"] and each["restartCount"] for each in found)

        wait_for(lambda: daemon_set.of("stuck"), "no record")
        wait_for(waits, "it does not wait for a restart")
        provoke.resize(cluster, "stuck", AFTER)
        yield "stuck"
    finally:
        cluster.kubectl.delete([wanted])


def test_a_container_that_waits_for_its_restart(
    cluster: Cluster, daemon_set: Exporter, waiting: str
) -> None:
    """Its own limit is raised at its start, its pod's only while it runs (kubernetes issue 138760).

    So it dies by its pod's limit if it grows at once, and lives if the kubelet was faster: which
    one it is is nobody's to choose. What counts is that a kill is told rightly.
    """
    pods = cgroup_of(cluster.api.get(f"{PODS}/{waiting}"))

    def killed() -> list[Object]:
        return [
            each
            for each in daemon_set.of(waiting)
            if each["victims"][0]["limit_bytes"] == AFTER * MIB
        ]

    def is_raised() -> bool:
        return pods.limit_bytes() == AFTER * MIB

    wait_for(lambda: killed() or is_raised(), "neither killed with its new limit, nor resized")
    found = killed()
    if not found:
        provoke.running(cluster, waiting)
        table.add(
            "resize", "of a container that waits", "its pod's cgroup was raised in time: it runs"
        )
        return
    record = found[0]
    table.add("resize", "of a container that waits", record["verdict"])
    assert record["domain"]["limit_bytes"] == BEFORE * MIB
    assert record["scope"] == "pod"
    assert "the container's own limit is higher (96.0 MiB): a resize" in record["verdict"]
    assert "shared by" not in record["verdict"]
