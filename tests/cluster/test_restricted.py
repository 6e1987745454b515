# SPDX-License-Identifier: Apache-2.0
"""Names by the API alone, of a container that dies before the API knows it."""

from __future__ import annotations

from ..support.cluster import table
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import deployed, overlay
from ..support.cluster.pods import GREEDY, pod

COUNT = 5


def test_containers_that_die_at_their_start(cluster: Cluster) -> None:
    """Each is its pod's only one; the kubelet tells of a start a second later."""
    names = [f"sudden-{number}" for number in range(COUNT)]
    killed = [pod(name, GREEDY) for name in names]
    with deployed(cluster.api, cluster.kubectl, overlay("restricted")) as (exporter, _):
        cluster.kubectl.apply(killed)
        try:
            for name in names:
                wait_for(lambda: exporter.of(name), f"no record of {name}")  # noqa: B023
                (record,) = exporter.of(name)
                found = record["container"]
                assert (found["name"], found["unresolved"]) == ("app", None)
                assert (found["workload"], found["type"]) == (f"Pod/{name}", "app")
                assert record["scope"] == "container"
                # One of the API's names that is not known yet.
                late = found["image"] is None
                words = "before the API knew it" if late else "once the API knew it"
                table.add("overlay restricted", name, f"killed {words}: named all the same")
        finally:
            cluster.kubectl.delete(killed)
