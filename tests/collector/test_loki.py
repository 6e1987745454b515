# SPDX-License-Identifier: Apache-2.0
"""A real Loki takes our records as they are, and answers every query of the dashboard rightly.

`make test-otlp` builds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.incident.before import Before
from container_oomkill.incident.model import Incident
from container_oomkill.otlp.resource import resource
from container_oomkill.otlp.sender import OtlpSender
from container_oomkill.otlp.settings import OtlpSettings
from container_oomkill.sending.waiting import MemoryQueue
from container_oomkill.sinks import json_lines

from ..support import loki
from ..support.befores import before as history
from ..support.incidents import container, now
from ..support.logs_dashboard import LOGQL, filled
from ..support.waiting import eventually

RECORDS = LOGQL["The records: A"]
EAST, WEST = "east", "west"
LEAK = replace(history(lambda second: second, 60), shape="leak", growth_bytes_per_second=20480.0)


@dataclass(frozen=True)
class Fleet:
    """``kills``: by cluster and node."""

    store: loki.Loki
    kills: dict[tuple[str, str], list[Incident]]

    def number(self, panel: str, **filters: str) -> float:
        (found,) = self.store.vector(filled(LOGQL[panel], **filters)) or [({}, 0.0)]
        return found[1]

    def bars(self, panel: str, *labels: str, **filters: str) -> dict[str, float]:
        found = self.store.vector(filled(LOGQL[panel], **filters))
        return {" ".join(each.get(label, "") for label in labels): value for each, value in found}


def of(
    workload: str,
    namespace: str,
    number: int,
    *,
    scope: str = "container",
    before: Before | None = None,
) -> Incident:
    where = container(
        "app", namespace=namespace, pod=f"{workload}-{number}", workload=f"Deployment/{workload}"
    )
    return replace(explain(now(number, container=where)), scope=scope, before=before)


def send(address: str, cluster: str, node: str, kills: list[Incident]) -> None:
    environ = {"OTEL_RESOURCE_ATTRIBUTES": f"k8s.cluster.name={cluster}"}
    ours = resource(node=node, version="1.2.3", cluster_node=node, environ=environ)
    settings = OtlpSettings(url=f"{address}/v1/logs", where="--otlp.endpoint")
    queue = MemoryQueue(256)
    for each in kills:
        queue.add(each)
    with OtlpSender(settings, queue, ours, version="1.2.3") as sending:
        eventually(lambda: queue.depth() == 0)
        now = sending.counts.now()
        assert (now.sent, now.retries, sum(now.dropped.values())) == (len(kills), 0, 0)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    kills = {
        (EAST, "node-1"): [
            of("cart", "shop", 1, before=LEAK),
            of("cart", "shop", 2, before=LEAK),
            of("cart", "shop", 2, before=replace(LEAK, growth_bytes_per_second=4096.0)),
        ],
        (EAST, "node-2"): [of("ledger", "bank", 4, scope="pod")],
        (WEST, "node-1"): [
            of("cart", "shop", 1),
            # Not in a pod, and nobody's workload.
            explain(now(6, container=container("web", namespace=None, pod=None))),
            of("ledger", "bank", 7, scope="node"),
        ],
    }
    with loki.running(tmp_path_factory.mktemp("loki")) as store:
        for (cluster, node), each in kills.items():
            send(store.otlp, cluster, node, [replace(one, node=node) for one in each])
        yield Fleet(store, kills)


def test_numbers(fleet: Fleet) -> None:
    eventually(lambda: fleet.number("Incidents: A") == 7)
    assert fleet.number("Containers hit: A") == 6
    assert fleet.number("Nodes with incidents: A") == 3
    assert fleet.number("Nodes out of memory: A") == 1
    assert fleet.number("Incidents: A", cluster=EAST) == 4
    assert fleet.number("Incidents: A", cluster=EAST, node="node-2") == 1
    assert fleet.number("Incidents: A", namespace="shop") == 4
    assert fleet.number("Incidents: A", namespace="bank", workload="Deployment/ledger") == 2
    assert fleet.number("Incidents: A", workload="Deployment/none") == 0


def test_by_what(fleet: Fleet) -> None:
    scope = "container_oomkill_scope"
    panel = "Incidents by what ran out: A"
    assert fleet.bars(panel, scope) == {"container": 5, "pod": 1, "node": 1}
    workload = ("k8s_namespace_name", "container_oomkill_workload")
    by_workload = {"shop Deployment/cart": 4, "bank Deployment/ledger": 2, " ": 1}
    for name in ("Incidents by namespace and workload: A", "Workloads with most incidents: A"):
        assert fleet.bars(name, *workload) == by_workload
    leaks = fleet.bars("Fastest leaks: A", *workload)
    assert leaks == {"shop Deployment/cart": 20480.0}
    node = ("k8s_cluster_name", "service_instance_id")
    by_node = fleet.bars("Nodes with most incidents: A", *node)
    assert by_node == {"east node-1": 3, "east node-2": 1, "west node-1": 3}


def test_the_records(fleet: Fleet) -> None:
    """The line is the verdict; the whole record is beside it, and nothing was cut."""
    (one,) = fleet.kills[EAST, "node-2"]
    ((labels, line),) = fleet.store.streams(filled(RECORDS, node="node-2"))
    assert line == f"bank/ledger-4/app: {one.verdict}"
    assert labels["container_oomkill_record"] == json_lines.render(replace(one, node="node-2"))
    assert labels["severity_text"] == "ERROR"
    every = fleet.store.streams(filled(RECORDS))
    assert len(every) == 7
    some = fleet.store.streams(filled(RECORDS, search="BANK/LEDGER"))
    assert [line for _, line in some] == [
        line for _, line in every if line.startswith("bank/ledger")
    ]


@pytest.mark.parametrize("name", LOGQL)
def test_it_is_loki_that_judges(fleet: Fleet, name: str) -> None:
    assert fleet.store.refusal(filled(LOGQL[name])) == ""
    assert fleet.store.refusal(filled(LOGQL[name]).replace('"oom"', "oom")) != ""


def test_what_is_sent_twice_shows_once(fleet: Fleet) -> None:
    """Its time and its line are the same: Loki takes it for one."""
    (one,) = fleet.kills[EAST, "node-2"]
    send(fleet.store.otlp, EAST, "node-2", [replace(one, node="node-2")])
    assert fleet.number("Incidents: A", cluster=EAST, node="node-2") == 1
    assert len(fleet.store.streams(filled(RECORDS, node="node-2"))) == 1
