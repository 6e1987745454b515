# SPDX-License-Identifier: Apache-2.0
"""The exporter with the distribution's Prometheus and a current one, and with what may be enabled.

`make test-prometheus` gets them; docs/metrics.md says what these tests saw.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..support.exporter_process import Child, running
from ..support.prometheus import DEPLOY, RULES, Prometheus, hasty
from ..support.prometheus import program as chosen
from ..support.prometheus import running as prometheus_running
from ..support.scraping import full, scrape
from ..support.waiting import eventually

VERSIONS = ("distribution", "current")
CREATED = "created-timestamp-zero-ingestion"
FEATURES = (
    ("distribution", ()),
    ("current", ()),
    ("current", ("openmetrics2",)),
    ("current", (CREATED,)),
    ("current", ("openmetrics2", CREATED)),
    ("current", ("native-histograms",)),
    ("current", ("type-and-unit-labels", "metadata-wal-records")),
)
PROTOCOLS = ("OpenMetricsText1.0.0", "PrometheusText1.0.0", "PrometheusText0.0.4")
CONFIG = """\
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: container-oomkill
    honor_labels: true
    static_configs: [{{ targets: ["{target}"] }}]
    {protocols}
"""
KILLS = 3


@contextmanager
def scraped(folder: Path, version: str, features: tuple[str, ...]) -> Iterator[tuple[Any, Child]]:
    """A Prometheus with these features, and an exporter that it scrapes."""
    rules, config = folder / "rules.yml", folder / "prometheus.yml"
    hasty(rules)
    options = [f"--enable-feature={','.join(features)}"] if features else []
    protocols = ""
    if "openmetrics2" in features:
        protocols = f"scrape_protocols: {json.dumps(['OpenMetricsText2.0.0', *PROTOCOLS])}"
    with running() as exporter:
        text = CONFIG.format(rules=rules, target=exporter.address, protocols=protocols)
        config.write_text(text)
        program = chosen("prometheus", version)
        with prometheus_running(folder, config, *options, program=program) as (server, _):
            eventually(lambda: server.value("count_over_time(up[5m])"))
            yield server, exporter


def errors(server: Prometheus) -> list[str]:
    """Of the last scrape; a busy machine's timeouts are none of ours."""
    found = [each["lastError"] for each in server.get("/api/v1/targets")["activeTargets"]]
    return [each for each in found if each and "deadline exceeded" not in each]


def broken_rules(server: Prometheus) -> list[Any] | None:
    rules = [each for group in server.get("/api/v1/rules")["groups"] for each in group["rules"]]
    if any(each["health"] == "unknown" for each in rules):
        return None
    return [(each["name"], each["lastError"]) for each in rules if each["health"] != "ok"]


@pytest.mark.parametrize(("version", "features"), FEATURES)
def test_every_kill_is_in_the_sums(tmp_path: Path, version: str, features: tuple[str, ...]) -> None:
    """Three, each under a name nobody knew: counters with names have them by start time alone."""
    total = 'sum(container_oomkill_kills_total{scope="container"})'
    summed = 'sum(round(increase(container_oomkill_kills_total{scope="container"}[5m])))'
    named = 'sum(increase(container_oomkill_total{scope="container"}[5m]))'
    created = 'count({__name__=~"container_oomkill.*_created"})'
    with scraped(tmp_path, version, features) as (server, exporter):
        eventually(lambda: server.value(total) == 0)
        for number in range(KILLS):
            exporter.tell(f"kill new-{number}")
        eventually(lambda: server.value(total) == KILLS)
        eventually(lambda: server.value(summed) == KILLS)  # from few samples it is extrapolated
        if CREATED in features:
            eventually(lambda: round(server.value(named) or 0) == KILLS)
            assert server.value(created) is None
        else:
            eventually(lambda: server.value(named) == 0)
            assert (server.value(created) or 0) > KILLS
        eventually(lambda: "ContainerOomKilled" in server.firing())
        eventually(lambda: broken_rules(server) == [])
        assert errors(server) == []
        assert server.value("count(count by (container) (ALERTS{alertname='ContainerOomKilled'}))")
        if "type-and-unit-labels" in features:
            typed = 'count(container_oomkill_total{__type__="counter"})'
            assert server.value(typed)
            bytes_ = (
                'count(container_oomkill_memory_limit_bytes{__type__="gauge",__unit__="bytes"})'
            )
            assert server.value(bytes_) == KILLS
        found = server.get("/api/v1/metadata", metric="container_oomkill_kills_total")
        family = server.get("/api/v1/metadata", metric="container_oomkill_kills")
        (meta,) = next(iter((found | family).values()))
        assert meta["type"] == "counter"


@pytest.mark.parametrize("version", VERSIONS)
def test_promtool_of_every_version_passes_them(version: str) -> None:
    promtool = chosen("promtool", version)
    for arguments in (
        ["check", "rules", str(RULES)],
        ["test", "rules", str(DEPLOY / "prometheus" / "rules_test.yml")],
        ["check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")],
    ):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_promtool_of_every_version_finds_nothing_to_complain_of(version: str) -> None:
    done = subprocess.run(
        [chosen("promtool", version), "check", "metrics"],
        input=scrape(full()),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
