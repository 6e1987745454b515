# SPDX-License-Identifier: Apache-2.0
"""Ten thousand pods on one node: what the watch of them holds stays within the pod's limit."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.api import CONNECTIONS, MERGE, Api
from ..support.cluster.cluster import Cluster
from ..support.cluster.control_plane import NODE
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import PODS, Exporter, overlay
from ..support.cluster.pods import GREEDY_LATER, container, pod
from ..support.cluster.status import cgroup_of
from ..support.kernel.cgroups import MIB, is_v1
from ..support.manifests import container as only_container

COUNT = 10_000
CROWD = "/api/v1/namespaces/crowd"


@pytest.fixture
def crowded(cluster: Cluster, daemon_set: Exporter) -> Iterator[tuple[str, int]]:
    """A pod that waits to be killed, and the crowd; with the memory held before it came.

    Nobody runs the crowd: the kubelet is away, and what it would tell of each pod is told for it.
    """
    waiting = pod("waiting", GREEDY_LATER)
    cluster.kubectl.apply([waiting])
    uid = provoke.running(cluster, "waiting")["metadata"]["uid"]
    cluster.kubectl("create", "namespace", "crowd")
    account = f"{CROWD}/serviceaccounts/default"
    wait_for(lambda: cluster.api.find(account), "a service account")
    cluster.node.kubelet.stop()
    try:
        before = held(daemon_set)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda number: make(cluster.api, number), range(COUNT)))
        yield uid, before
    finally:
        for log in Path("/var/log/pods").glob("container-oomkill_*/exporter/*.log"):
            print(log.read_text())  # pytest shows it of a test that fails; the kubelet is away
        print(cluster.node.ctr("tasks", "list"), *cluster.api.items(PODS))
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda number: delete(cluster.api, number), range(COUNT)))
        assert cluster.api.items(f"{CROWD}/pods") == []
        cluster.api("DELETE", CROWD)
        cluster.node.configure()
        cluster.kubectl.delete([waiting])


def named(number: int) -> str:
    return f"one-of-many-{number:05}-7d9f4c5b6-x7k2p"


def make(api: Api, number: int) -> None:
    name = named(number)
    wanted = pod(name, container("app", "wait", 48), nodeName=NODE)
    wanted["metadata"] |= {"namespace": "crowd", "labels": {"app": "one-of-many", "tier": "web"}}
    until_done(api, "POST", f"{CROWD}/pods", wanted)
    status = {
        "name": "app",
        "image": "localhost/hog:test",
        "imageID": "sha256:" + 64 * "0",
        "containerID": f"containerd://{number:064x}",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {}},
    }
    change = {"status": {"containerStatuses": [status]}}
    until_done(api, "PATCH", f"{CROWD}/pods/{name}/status", change, MERGE)


def delete(api: Api, number: int) -> None:
    """Of its own: all at once is one after the other, and more than the minute a request has."""
    until_done(api, "DELETE", f"{CROWD}/pods/{named(number)}", {"gracePeriodSeconds": 0})


def until_done(api: Api, *request: Any) -> None:
    """Ask again where the server did not get through with it in its time (504, or no answer)."""
    done_before = {"POST": 409, "DELETE": 404}.get(request[0])

    def is_done() -> bool:
        status, answer = api.request(*request)
        is_it = status < 300 or status == done_before
        assert is_it or status in (409, 429, 500, 504), answer
        return is_it

    wait_for(is_done, f"{request[:2]}")


def held(daemon_set: Exporter) -> int:
    """The most that the exporter's container has ever held, in bytes."""
    return cgroup_of(daemon_set.pod(), "exporter").peak_bytes()


@pytest.mark.skipif(not is_v1(), reason="a guest takes an hour to make ten thousand pods")
def test_ten_thousand_pods(
    cluster: Cluster, daemon_set: Exporter, crowded: tuple[str, int]
) -> None:
    uid, before = crowded
    # Told after all of them: who has this owner has seen all the others.
    reference = {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "late-owner", "uid": uid,
        "controller": True,
    }  # fmt: skip
    cluster.api.patch(f"{provoke.PODS}/waiting", {"metadata": {"ownerReferences": [reference]}})
    provoke.go_file(uid).touch()
    wait_for(lambda: daemon_set.of("waiting"), "no record")
    (record,) = daemon_set.of("waiting")
    assert record["container"]["workload"] == "StatefulSet/late-owner"
    (limit,) = {only_container(overlay("kubernetes"))["resources"]["limits"]["memory"]}
    after = held(daemon_set)
    assert after < int(limit.removesuffix("Mi")) * MIB
    statuses = [each["status"]["containerStatuses"] for each in cluster.api.items(PODS)]
    assert [each["restartCount"] for (each,) in statuses] == [0]
    words = f"{before / MIB:.1f} MiB at most before, {after / MIB:.1f} with them, of {limit}"
    table.add("scale", f"{COUNT} pods in the watch", words)
