# SPDX-License-Identifier: Apache-2.0
"""A kill, from the exporter through a real Prometheus and Alertmanager to whoever is paged."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from ..support.alertmanager import alertmanager
from ..support.exporter_process import running
from ..support.prometheus import hasty
from ..support.prometheus import program as chosen
from ..support.prometheus import running as prometheus_running
from ..support.waiting import PATIENCE_SECONDS, eventually

CONFIG = """\
global: {{ scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 2s }}
rule_files: ["{rules}"]
alerting:
  alertmanagers: [{{ static_configs: [{{ targets: ["{alertmanager}"] }}] }}]
scrape_configs:
  - job_name: container-oomkill
    honor_labels: true
    static_configs: [{{ targets: ["{target}"] }}]
"""


@pytest.mark.parametrize("version", ["distribution", "current"])
def test_a_kill_is_told_within_two_scrapes_and_resolves_once(tmp_path: Path, version: str) -> None:
    rules, config = tmp_path / "rules.yml", tmp_path / "prometheus.yml"
    hasty(rules, window="8", keep="6s")
    with running() as exporter, alertmanager(tmp_path) as (address, webhook):
        text = CONFIG.format(rules=rules, alertmanager=address, target=exporter.address)
        config.write_text(text)
        program = chosen("prometheus", version)
        with prometheus_running(tmp_path, config, program=program) as (server, _):
            eventually(lambda: server.value("up") == 1)
            exporter.tell("kill cart")
            told = {"container": "cart", "namespace": "shop", "pod": "cart-7d9f4"}
            (firing,) = eventually(lambda: webhook.of("ContainerOomKilled", **told))
            assert firing["status"] == "firing"

            # The scrapes from the kill to the alert's first sample.
            alert = (
                'ALERTS{alertname="ContainerOomKilled",container="cart",alertstate="firing"}[5m]'
            )
            first = float(server.query(alert)[0]["values"][0][0])
            at = server.value('container_oomkill_last_timestamp_seconds{container="cart"}')
            assert at is not None
            scrapes = [float(when) for when, _ in server.query("up[5m]")[0]["values"]]
            assert len([when for when in scrapes if at < when <= first]) <= 2

            notes = firing["annotations"]
            base = f"http://{exporter.address}"
            assert notes["summary"] == f"shop/cart-7d9f4/cart was OOM-killed on {exporter.address}"
            assert notes["description"] == (
                "python3 was killed: its own limit of 128MiB was reached, "
                "the memory was asked for by gunicorn."
            )
            assert firing["labels"]["severity"] == "warning"
            assert notes["runbook_url"] == f"{base}/docs/runbooks/ContainerOomKilled.md"
            assert notes["page_url"].startswith(f"{base}/incidents/")
            # Whoever follows them gets there.
            assert "half an hour after the last kill" in page(notes["runbook_url"]).lower()
            assert "cart" in page(notes["page_url"])

            eventually(lambda: len(webhook.of("ContainerOomKilled", **told)) == 2)
            # Another one comes and goes: by then there is nothing more of the first.
            exporter.tell("kill other")
            eventually(lambda: len(webhook.of("ContainerOomKilled", container="other")) == 2)
            states = [each["status"] for each in webhook.of("ContainerOomKilled", **told)]
            assert states == ["firing", "resolved"]


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
        text: str = answer.read().decode()
    return text


def test_a_loop_is_told_with_a_whole_number(tmp_path: Path) -> None:
    rules, config = tmp_path / "rules.yml", tmp_path / "prometheus.yml"
    hasty(rules)
    with running() as exporter, alertmanager(tmp_path) as (address, webhook):
        text = CONFIG.format(rules=rules, alertmanager=address, target=exporter.address)
        config.write_text(text)
        program = chosen("prometheus", "distribution")
        with prometheus_running(tmp_path, config, program=program) as (server, _):
            exporter.tell("register cart")
            series = 'container_oomkill_incidents_total{container="cart",scope="container"}'
            eventually(lambda: server.value(series) == 0)
            for _ in range(4):
                exporter.tell("kill cart")
            first, *_ = eventually(lambda: webhook.of("ContainerOomKillLoop", container="cart"))
            words = first["annotations"]["description"]
            assert words.startswith("OOM-killed ")
            kills = words.removeprefix("OOM-killed ").split()[0]
            assert kills.isdigit()
            assert int(kills) >= 3
            assert words.endswith(
                "The last one was python3, the memory was asked for by gunicorn. The limit: 128MiB."
            )
            assert first["labels"]["severity"] == "critical"
            assert "/docs/runbooks/ContainerOomKillLoop.md" in first["annotations"]["runbook_url"]
