# SPDX-License-Identifier: Apache-2.0
"""Settings of the kubelet that decide who is killed: singleProcessOOMKill, and MemoryQoS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.api import Object
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import Exporter
from ..support.cluster.pods import SIDE, container, pod
from ..support.cluster.status import cgroup_of, end_of
from ..support.kernel.cgroups import MIB, is_v1

pytestmark = pytest.mark.skipif(is_v1(), reason="cgroup v2 only: in the guest")


@pytest.fixture(scope="module")
def other_kubelet(cluster: Cluster, daemon_set: Exporter) -> Iterator[Exporter]:
    # By default a kubelet without the gate (1.34) sets no memory.high, and neither does one with it
    # (1.37, where the gate is on): there the factor has no default.
    # Half of the way from request to limit leaves room to be throttled in, for minutes.
    qos = {"featureGates": {"MemoryQoS": True}, "memoryThrottlingFactor": 0.5}
    cluster.node.configure(singleProcessOOMKill=True, **qos)
    yield daemon_set
    cluster.node.configure()


def test_a_single_process(cluster: Cluster, other_kubelet: Exporter) -> None:
    """The child dies alone, and Kubernetes tells nothing of it."""
    wanted = pod("single", container("app", "name first until /control/go child 64 wait", 40), SIDE)
    cluster.kubectl.apply([wanted])
    try:
        created = provoke.running(cluster, "single")
        assert cgroup_of(created, "app").read("memory.oom.group") == "0"
        provoke.go(cluster, "single")
        wait_for(lambda: other_kubelet.of("single"), "no record")
        (record,) = other_kubelet.of("single")
        assert (record["scope"], len(record["victims"])) == ("container", 1)
        assert "not PID 1" in record["verdict"]
        told = end_of(cluster.api.get(f"{provoke.PODS}/single"), "app")
        assert told == "nothing"
        table.add("kubelet: singleProcessOOMKill", "our verdict", record["verdict"])
        table.add("kubelet: singleProcessOOMKill", "what Kubernetes says", told)
    finally:
        cluster.kubectl.delete([wanted])


@pytest.fixture
def throttled(cluster: Cluster, other_kubelet: Exporter) -> Iterator[list[Object]]:
    """What there is to see of a container that has met its memory.high, far below its limit."""
    wanted = pod("slow", container("app", "name slow until /control/go anon 80 wait", 96, 16), SIDE)
    cluster.kubectl.apply([wanted])
    try:
        created = provoke.running(cluster, "slow")
        cgroup = cgroup_of(created, "app")
        high, low = cgroup.read("memory.high"), cgroup.read("memory.min")
        table.add("kubelet: MemoryQoS", "memory.high and memory.min", f"{high}, {low}")
        assert int(high) == (16 + 96) // 2 * MIB
        provoke.go(cluster, "slow")

        def is_throttled() -> bool:
            events = dict(line.split() for line in cgroup.read("memory.events").splitlines())
            return int(events["high"]) > 10  # the longer it goes on, the longer each takes

        wait_for(is_throttled, "it is not throttled")
        wait_for(lambda: other_kubelet.stuck("slow"), "it is not said to be stuck")
        yield other_kubelet.stuck("slow")
    finally:
        cluster.kubectl.delete([wanted])


def test_memory_high(other_kubelet: Exporter, throttled: list[Object]) -> None:
    assert [each["stuck"]["cause"] for each in throttled] == ["throttled"]
    assert [each["high_bytes"] for each in throttled] == [(16 + 96) // 2 * MIB]
    assert other_kubelet.of("slow") == []
    table.add("kubelet: MemoryQoS", "our verdict", throttled[0]["verdict"])
