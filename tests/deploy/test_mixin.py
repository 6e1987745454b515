# SPDX-License-Identifier: Apache-2.0
"""The monitoring mixin: what it renders to is what we ship, and others can set what differs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..support.manifests import DEPLOY, run, tool
from ..support.prometheus import RULES

MIXIN = "github.com/container-oomkill/container-oomkill/deploy/mixin/mixin.libsonnet"
SHIPPED = DEPLOY / "grafana" / "dashboards"


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of somebody's project into which jsonnet-bundler put our deploy/."""
    folder = tmp_path_factory.mktemp("vendor")
    shutil.copytree(DEPLOY, folder / Path(MIXIN).parents[1], symlinks=True)
    return folder


def render(vendor: Path, what: str, config: str = "{}") -> Any:
    program = f"((import '{MIXIN}') + {{ _config+:: {config} }}).{what}"
    done = run(tool("jsonnet"), "-J", str(vendor), "-e", program)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_dashboards_are_those_we_ship(vendor: Path) -> None:
    """If not: `make dashboard`."""
    dashboards = render(vendor, "grafanaDashboards")
    shipped = {path.name: json.loads(path.read_text()) for path in SHIPPED.iterdir()}
    assert dashboards == shipped


def test_the_rules_are_those_we_ship(vendor: Path) -> None:
    alerts = render(vendor, "prometheusAlerts")["groups"]
    records = render(vendor, "prometheusRules")["groups"]
    assert all("alert" in rule for group in alerts for rule in group["rules"])
    assert all("record" in rule for group in records for rule in group["rules"])
    shipped = yaml.safe_load(RULES.read_text())["groups"]
    for kind, groups in (("alert", alerts), ("record", records)):
        wanted = [
            {**group, "rules": [rule for rule in group["rules"] if kind in rule]}
            for group in shipped
        ]
        assert groups == [group for group in wanted if group["rules"]]


def test_others_names_reach_every_expression(vendor: Path) -> None:
    config = (
        "{ selector: 'job=~\"oom.*\"', clusterLabel: 'k8s_cluster', nodeLabel: 'node',"
        " logSelector: 'app=\"oom\"', logClusterLabel: 'region', logNodeLabel: 'host_name' }"
    )
    rendered = json.dumps(
        [
            render(vendor, what, config)
            for what in ("grafanaDashboards", "prometheusAlerts", "prometheusRules")
        ]
    )
    expressions = json.dumps(render(vendor, "grafanaDashboards", config))
    assert 'job=\\"container-oomkill\\"' not in rendered
    assert "instance" not in expressions
    assert 'k8s_cluster=~\\"$cluster\\"' in expressions
    assert 'node=~\\"$node\\"' in expressions
    logs = '{app=\\"oom\\", region=~\\"$cluster\\", host_name=~\\"$node\\"}'
    assert logs in expressions
    assert "service_name" not in expressions


def test_a_runbook_of_their_own(vendor: Path) -> None:
    url = "https://runbooks.example.com/oom"
    dashboards = render(vendor, "grafanaDashboards", f"{{ runbookUrl: '{url}' }}").values()
    assert dashboards
    for dashboard in dashboards:
        assert [link["url"] for link in dashboard["links"]] == [url]
