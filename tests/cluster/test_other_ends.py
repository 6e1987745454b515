# SPDX-License-Identifier: Apache-2.0
"""Containers that end by SIGKILL, but not the OOM killer's: exit code 137 all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.api import Object
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import Exporter
from ..support.cluster.pods import FAILING_PROBE, GREEDY, NAMESPACE, pod, stubborn

PODS = provoke.PODS


def delete(cluster: Cluster, name: str) -> str:
    """Without a handler PID 1 ignores SIGTERM: SIGKILL follows a second later."""
    cluster.kubectl("--namespace", NAMESPACE, "delete", "pod", name, "--wait=true")
    return "the pod is gone, and its Events say Killing"


def evict(cluster: Cluster, name: str) -> str:
    """Have the kubelet find its node short of memory."""
    cluster.node.configure(evictionHard={"memory.available": "99%"})
    try:
        wait_for(
            lambda: cluster.api.get(f"{PODS}/{name}")["status"].get("reason") == "Evicted",
            f"{name} is not evicted",
        )
    finally:
        cluster.node.configure()
    message: str = cluster.api.get(f"{PODS}/{name}")["status"]["message"]
    return f"Evicted: {message}"


def restart(cluster: Cluster, name: str) -> str:
    """Have it fail its probe, which it does from the start on."""

    def restarts() -> int:
        statuses = cluster.api.get(f"{PODS}/{name}")["status"].get("containerStatuses") or ()
        return sum(each["restartCount"] for each in statuses)

    wait_for(lambda: restarts() > 0, f"{name} is not restarted")
    return "it is restarted, and its Events say Unhealthy and Killing"


@dataclass(frozen=True)
class End:
    name: str
    provoke: Callable[[Cluster, str], str]  # returns what Kubernetes says then
    cause: str  # as docs/record.md has it
    container: Mapping[str, Any] = field(default_factory=dict)


ENDS = (
    End("deleted", delete, "runtime_stop"),
    End("evicted", evict, "eviction"),
    End("unhealthy", restart, "failed_probe", {"livenessProbe": FAILING_PROBE}),
)


@pytest.fixture(scope="module", params=ENDS, ids=lambda end: end.name)
def ended(
    request: pytest.FixtureRequest, cluster: Cluster, daemon_set: Exporter
) -> Iterator[tuple[End, list[Object], list[Object]]]:
    """An end, all incidents once a kill that came after it is among them, and its other kills."""
    end: End = request.param
    ends = stubborn(end.name, restarts="Always", **end.container)
    after = pod(f"after-{end.name}", GREEDY)
    cluster.kubectl.apply([ends])
    try:
        provoke.running(cluster, end.name)
        told = end.provoke(cluster, end.name)
        cluster.kubectl.apply([after])

        wait_for(lambda: daemon_set.of(f"after-{end.name}"), "no record of the kill after it")
        table.add("other ends: what Kubernetes says", end.name, told)
        wait_for(lambda: daemon_set.kills_by_others(end.name), "no record of the end")
        kills = daemon_set.kills_by_others(end.name)
        for each in kills:
            table.add("other ends: what the exporter says", end.name, each["verdict"])
        yield end, daemon_set.incidents(), kills
    finally:
        cluster.kubectl.delete([ends, after])


def test_it_is_not_taken_for_an_oom_kill(
    ended: tuple[End, list[Object], list[Object]],
) -> None:
    end, incidents, _ = ended
    assert end.name not in {each["container"]["pod"] for each in incidents}


def test_who_killed_it(ended: tuple[End, list[Object], list[Object]]) -> None:
    end, _, kills = ended
    assert {each["killer"]["cause"] for each in kills} == {end.cause}
    assert all(each["target"]["is_init"] for each in kills)
