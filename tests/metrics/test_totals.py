# SPDX-License-Identifier: Apache-2.0
"""Sums without containers' names: from 0, bounded, and the same as what the containers' count."""

from __future__ import annotations

from container_oomkill.incident.model import Container
from container_oomkill.metrics.prometheus import go_float
from container_oomkill.metrics.table import LOST, SCOPES
from container_oomkill.metrics.totals import NAMESPACE_EXPIRY_SECONDS, NAMESPACES_MAX

from ..support.incidents import TIME, Clock, container, incident, victim
from ..support.scraping import make, samples, scrape, value

ALL, EACH = "container_oomkill_kills_total", "container_oomkill_namespace_kills_total"


def test_every_scope_is_there_before_any_kill() -> None:
    metrics = make()
    for scope in SCOPES:
        assert value(metrics, ALL, scope=scope) == 0
        assert value(metrics, EACH, namespace="", scope=scope) == 0
    assert value(metrics, EACH, namespace="shop", scope="container") is None
    metrics.register(("shop", "cart-7d9f4", "app"))
    assert value(metrics, EACH, namespace="shop", scope="container") == 0


def test_they_count_processes_by_scope_and_namespace() -> None:
    metrics = make()
    three = tuple(victim(pid=pid) for pid in range(3))
    metrics(incident(1, victims=three))
    metrics(incident(2, container=container("other", namespace="bank")))
    metrics(incident(3, container=Container(), scope="manual", domain=None))
    metrics(incident(4, container=Container(), scope=None, domain=None))
    assert value(metrics, ALL, scope="container") == 4
    assert value(metrics, ALL, scope="manual") == 1
    assert value(metrics, ALL, scope="unknown") == 1
    assert value(metrics, EACH, namespace="shop", scope="container") == 3
    assert value(metrics, EACH, namespace="bank", scope="container") == 1
    assert value(metrics, EACH, namespace="", scope="manual") == 1
    assert value(metrics, EACH, namespace="", scope="unknown") == 1


def test_no_bound_on_containers_takes_anything_from_them() -> None:
    metrics = make(max_containers=1)
    for number in range(40):
        metrics(incident(number, container=container(f"app-{number}")))
    found = samples(metrics)
    by_container = sum(v for (name, _), v in found.items() if name == "container_oomkill_total")
    assert by_container < 40
    assert sum(v for (name, _), v in found.items() if name == ALL) == 40
    assert sum(v for (name, _), v in found.items() if name == EACH) == 40


def test_a_namespace_stays_a_day_after_its_last_container() -> None:
    clock = Clock()
    metrics = make(monotonic=clock)
    labels = ("shop", "cart-7d9f4", "app")
    metrics.register(labels)
    clock.now += 2 * NAMESPACE_EXPIRY_SECONDS
    assert value(metrics, EACH, namespace="shop", scope="pod") == 0
    metrics.forget(labels)
    clock.now += NAMESPACE_EXPIRY_SECONDS - 1
    assert value(metrics, EACH, namespace="shop", scope="pod") == 0
    clock.now += 1
    assert value(metrics, EACH, namespace="shop", scope="pod") is None
    assert value(metrics, EACH, namespace="", scope="pod") == 0


def test_namespaces_are_bounded_those_with_containers_last() -> None:
    metrics = make()
    metrics.register(("shop", "cart-7d9f4", "app"))
    for number in range(NAMESPACES_MAX):
        metrics(incident(number, container=container("app", namespace=f"ns-{number}")))
    assert value(metrics, EACH, namespace="shop", scope="pod") == 0
    assert value(metrics, EACH, namespace="", scope="pod") == 0
    assert value(metrics, EACH, namespace="ns-0", scope="container") is None
    assert value(metrics, EACH, namespace=f"ns-{NAMESPACES_MAX - 1}", scope="container") == 1
    evicted = "container_oomkill_series_evicted_total"
    assert value(metrics, evicted, kind="namespaces") == 2
    assert value(metrics, ALL, scope="container") == NAMESPACES_MAX


def test_they_say_since_when_they_count() -> None:
    text = scrape(make(wall=Clock(TIME)), "application/openmetrics-text;version=1.0.0").decode()
    since = go_float(TIME)
    assert f'container_oomkill_kills_created{{scope="node"}} {since}\n' in text
    each = f'container_oomkill_namespace_kills_created{{namespace="",scope="node"}} {since}\n'
    assert each in text


def test_a_loss_is_an_increase() -> None:
    metrics = make()
    for reason in LOST:
        assert value(metrics, "container_oomkill_lost_total", reason=reason) == 0
