# SPDX-License-Identifier: Apache-2.0
"""Metrics with every clock held still, and what a scrape of them finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from container_oomkill.incident.model import Rss
from container_oomkill.killers.cause import explain
from container_oomkill.killers.model import Stop
from container_oomkill.metrics.exposition import page
from container_oomkill.metrics.metrics import Metrics
from container_oomkill.metrics.prometheus import Collector, Metric
from container_oomkill.sending.counts import Sent

from .befores import before
from .incidents import BOOT_NS, TIME, Clock, FakeProbe, container, incident, node_wide, victim
from .kills import kill
from .stuck import stuck


class NoProcess(Collector):
    def collect(self) -> Iterable[Metric]:
        return []


def make(probe: FakeProbe | None = None, **changes: Any) -> Metrics:
    values: dict[str, Any] = {
        "version": "1.2.3",
        "monotonic": Clock(),
        "wall": Clock(TIME),
        "boot_ns": lambda: BOOT_NS + 700_000,
        "process": NoProcess(),
    }
    return Metrics(probe or FakeProbe(), **(values | changes))


def scrape(metrics: Metrics, accept: str = "", encoding: str = "") -> bytes:
    families = metrics.families(created="openmetrics" in accept)
    return b"".join(page(families, accept=accept, accept_encoding=encoding)[1])


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a scrape, by name and labels; fails on one that comes twice."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(scrape(metrics).decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The one sample of this name that has these labels, maybe others too; None: there is none."""
    wanted = set(labels.items())
    found = [v for (n, have), v in samples(metrics).items() if n == name and wanted <= set(have)]
    assert len(found) <= 1, found
    return found[0] if found else None


def full() -> Metrics:
    """One of everything."""
    metrics = make(
        FakeProbe(counts={"kills": 3, "lost_ring_full": 2, "lost_no_context": 0}),
        kernel_kills=lambda: 110,
        kernel_kills_before=104,
        queues=lambda: {"log": (3, 1000)},
        external_url="https://oom.example.com/",
    )
    metrics.missed_while_down = 2
    metrics.earlier(("shop", "cart-7d9f4", "app"), 7, BOOT_NS + 700_000)
    metrics.watch_up = lambda: True
    metrics.destinations = lambda: {"otlp": Sent(5, 1, {"queue_full": 2})}
    for each in (stuck(), stuck(cgroup_id=8, cause=None)):
        metrics.stuck.begin(each)
        metrics.stuck.goes_on(each)
    metrics.register(("shop", "idle-1", "never-killed"))
    metrics(incident(1))
    cart = container("app", workload="Deployment/cart")
    three = (victim(), victim(pid=4), victim(pid=5))
    grew = replace(
        before(lambda _: 31, 600), shape="spike", growth_bytes_per_second=1e6, at_limit_seconds=2.5
    )
    metrics(incident(2, container=cart, scope="pod", victims=three, before=grew))
    weird = container('we"ird\\na\nme\x1b', pod=None, namespace=None, image=None)
    unknown = victim(rss=Rss(), command=None, uptime_seconds=None)
    memory = node_wide().node_memory
    values: dict[str, Any] = {
        "container": weird,
        "domain": None,
        "scope": "node",
        "node_memory": memory,
    }
    metrics(incident(3, victims=(unknown,), **values))
    metrics.by_another(explain(kill(container=cart, stop=Stop(signal="SIGTERM"))))
    metrics.by_another(explain(kill(container=weird)))
    return metrics
