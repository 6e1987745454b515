# SPDX-License-Identifier: Apache-2.0
"""The dashboard of the logs as a file. tests/collector asks a real Loki every expression."""

from __future__ import annotations

import re
import subprocess

import pytest

from container_oomkill.metrics.table import ROWS

from ..support.logs_dashboard import DASHBOARD, FILTERS, LOGQL, PANELS, PATH, PROMQL
from ..support.manifests import tool


@pytest.mark.parametrize("name", LOGQL)
def test_every_query_has_every_filter(name: str) -> None:
    for each in FILTERS:
        assert LOGQL[name].count(f'=~"${each}"') == 1


@pytest.mark.parametrize("name", PROMQL)
def test_the_metrics_are_ours(name: str) -> None:
    for metric, selector in re.findall(r"(\w+)\{([^}]*)\}", PROMQL[name]):
        assert metric in {row.sample for row in ROWS}
        assert 'cluster=~"$cluster", instance=~"$node"' in selector


def test_each_source_is_one_that_can_be_chosen() -> None:
    chosen = {
        each["query"]: f"${{{each['name']}}}"
        for each in DASHBOARD["templating"]["list"]
        if each["type"] == "datasource"
    }
    for panel in PANELS:
        for asked in (panel, *panel["targets"]):
            source = asked["datasource"]
            assert source["uid"] == chosen[source["type"]]
    for each in DASHBOARD["templating"]["list"]:
        if each["type"] == "query":
            assert each["datasource"] == {"type": "loki", "uid": chosen["loki"]}


def test_every_panel_has_a_description_and_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["description"]
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_grafanas_own_schema() -> None:
    judge, text = tool("grafana-schema"), PATH.read_text()
    for given, wanted in (
        (text, ""),
        (text.replace('"queryType"', '"kindOfQuery"'), "kindOfQuery"),
    ):
        done = subprocess.run([judge], input=given, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (not wanted)
        assert wanted in done.stderr
