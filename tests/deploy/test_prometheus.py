# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a running exporter; alerts get their answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.exporter_process import Child, running
from ..support.prometheus import RULES, Prometheus, needs_prometheus, prometheus
from ..support.waiting import eventually

pytestmark = needs_prometheus
WINDOW = "4"  # seconds a kill's alert fires


@pytest.fixture(scope="module")
def exporter() -> Iterator[Child]:
    with running() as child:
        yield child


@pytest.fixture(scope="module")
def server(exporter: Child, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, exporter.address, window=WINDOW) as running_server:
        eventually(lambda: running_server.value("up") == 1)
        yield running_server


def test_the_first_kill_shows_in_increase(server: Prometheus, exporter: Child) -> None:
    series = 'container_oomkill_total{container="first",scope="container"}'
    exporter.tell("register first")
    eventually(lambda: server.value(series) == 0)
    exporter.tell("kill first")
    eventually(lambda: (server.value(f"increase({series}[1m])") or 0) > 0)
    eventually(lambda: server.value(f"resets({series}[1m])") == 0)


def test_the_alert_fires_and_resolves(server: Prometheus, exporter: Child) -> None:
    """Of a container nobody knew before: increase() alone would not see this kill."""
    alert = 'ALERTS{alertname="ContainerOomKilled",container="unheard-of",alertstate="firing"}'
    exporter.tell("kill unheard-of")
    eventually(lambda: server.value(f"max_over_time({alert}[5m])") == 1)
    eventually(lambda: server.value(alert) is None)
    # Where the machine is too busy for a scrape, nothing is known until the next one.
    series = 'container_oomkill_total{container="unheard-of",scope="container"}'
    assert eventually(lambda: server.value(series)) == 1


def test_a_loop_and_a_loss_fire(server: Prometheus, exporter: Child) -> None:
    exporter.tell("register looping")
    eventually(lambda: server.query('container_oomkill_total{container="looping"}'))
    for _ in range(4):
        exporter.tell("kill looping")
    exporter.tell("lost")
    eventually(lambda: {"ContainerOomKillLoop", "OomKillRecordsLost"} <= server.firing())


def test_the_numbers_of_the_last_kill_arrive_whole(server: Prometheus, exporter: Child) -> None:
    exporter.tell("kill whole")
    info = 'container_oomkill_last_info{container="whole"}'
    eventually(lambda: server.query(info))
    found = {
        each["metric"]["__name__"]: float(each["value"][1])
        for each in eventually(lambda: server.query('{container="whole"}'))
    }
    assert found["container_oomkill_memory_limit_bytes"] == 128 << 20
    assert found["container_oomkill_task_size_bytes"] == (1 << 47) - 4096
    assert found["container_oomkill_oom_score_adj"] == -3
    kept = {"namespace": "shop", "pod": "cart-7d9f4"}
    (last,) = eventually(lambda: server.query(info))
    assert kept.items() <= last["metric"].items()


def rule_expressions() -> list[tuple[str, str]]:
    """By Prometheus' own reading of the file."""
    text = RULES.read_text()
    return [("rule", name) for name in re.findall(r"(?:alert|record): (\S+)", text)]


def test_every_rule_is_evaluated_without_error(server: Prometheus) -> None:
    wanted = {name for _, name in rule_expressions()}

    def rules() -> list[dict[str, Any]]:
        groups = server.get("/api/v1/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    eventually(lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert {rule["name"] for rule in rules()} == wanted
    assert [rule for rule in rules() if rule["health"] != "ok"] == []


def test_prometheus_negotiates_openmetrics(server: Prometheus) -> None:
    eventually(lambda: server.query("container_oomkill_created"))

    def last_error() -> str:
        (target,) = server.get("/api/v1/targets")["activeTargets"]
        error: str = target["lastError"]
        return error

    eventually(lambda: last_error() == "")  # or the machine was too busy for this scrape
