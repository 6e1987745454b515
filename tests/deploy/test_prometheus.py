# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a running exporter; dashboard and alerts get their answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.exporter_process import Child, running
from ..support.prometheus import DEPLOY, RULES, Prometheus, needs_prometheus, prometheus
from ..support.waiting import eventually

pytestmark = needs_prometheus
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
WINDOW = "4"  # seconds a kill's alert fires
# What Grafana puts in for its own variables; the dashboard's are replaced by ".*", "All".
GRAFANA = {"__rate_interval": "1m", "__range": "1h", "__interval": "15s"}


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


def dashboard_expressions() -> list[tuple[str, str]]:
    """Each panel's title and expression, with Grafana's variables filled in."""
    found = []
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        variables = {each["name"]: ".*" for each in dashboard["templating"]["list"]} | GRAFANA
        for panel in dashboard["panels"]:
            found += [
                (panel["title"], _filled(target["expr"], variables))
                for target in panel.get("targets", [])
            ]
        for each in dashboard["templating"]["list"]:
            if query := each.get("definition"):
                inner = re.fullmatch(r"label_values\((.*), \w+\)", query)
                assert inner, query
                found.append((f"${each['name']}", _filled(inner[1], variables)))
    return found


def _filled(expression: str, variables: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return variables[match[1] or match[2]]

    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, expression)


def rule_expressions() -> list[tuple[str, str]]:
    """By Prometheus' own reading of the file."""
    text = RULES.read_text()
    return [("rule", name) for name in re.findall(r"(?:alert|record): (\S+)", text)]


# What shows something only where something is wrong, or where a node itself ran out.
EMPTY_IS_FINE = {
    "Last kills when the node ran out of memory",
    "Missing features of this kernel",
    "Containers without a name",
    "Nodes that ran out",
}


@pytest.mark.parametrize(("title", "expression"), dashboard_expressions())
def test_every_expression_of_the_dashboard(
    server: Prometheus, exporter: Child, title: str, expression: str
) -> None:
    """It is understood, and shows something once there was a kill."""
    exporter.tell("register seen")
    eventually(lambda: server.query('container_oomkill_total{container="seen"}'))
    exporter.tell("kill seen")
    if title in EMPTY_IS_FINE:
        server.query(expression)
    else:
        eventually(lambda: server.query(expression))


def test_every_rule_is_evaluated_without_error(server: Prometheus) -> None:
    wanted = {name for _, name in rule_expressions()}

    def rules() -> list[dict[str, Any]]:
        groups = server.get("/api/v1/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    eventually(lambda: all(rule["health"] != "unknown" for rule in rules()))
    assert {rule["name"] for rule in rules()} == wanted
    assert [rule for rule in rules() if rule["health"] != "ok"] == []


def test_dashboard_is_whole() -> None:
    """Every panel has a place of its own and asks the chosen data source."""
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert at["x"] + at["w"] <= 24, panel["title"]
            assert not cells & taken, panel["title"]
            taken |= cells
            for target in panel.get("targets", []):
                assert target["datasource"]["uid"] == "${datasource}"


def test_prometheus_negotiates_openmetrics(server: Prometheus) -> None:
    eventually(lambda: server.query("container_oomkill_created"))

    def last_error() -> str:
        (target,) = server.get("/api/v1/targets")["activeTargets"]
        error: str = target["lastError"]
        return error

    eventually(lambda: last_error() == "")  # or the machine was too busy for this scrape
