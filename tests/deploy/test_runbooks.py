# SPDX-License-Identifier: Apache-2.0
"""Every alert has what a person who was paged needs, and a page that says what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from container_oomkill.web.page.docs import read

from ..support.prometheus import DEPLOY, RULES

RUNBOOKS = DEPLOY.parent / "docs" / "runbooks"
GROUPS = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
NO_PAGE = {"OomKillExporterDown", "OomKillExporterAbsent"}  # nobody there who could serve it
INFERRED = re.compile(r'inferred(!?=)"true"')


def test_one_page_per_alert() -> None:
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_its_runbook(name: str) -> None:
    annotations = ALERTS[name]["annotations"]
    path = f"docs/runbooks/{name}.md"
    assert annotations["runbook_url"].endswith(path)
    text = (DEPLOY.parent / path).read_text(encoding="utf-8")
    assert f"\n# {name}\n" in text
    assert "\n## When it resolves\n" in text
    assert read(f"runbooks/{name}.md") == text  # the exporter serves it
    assert {"summary", "description"} <= annotations.keys()
    assert ("page_url" in annotations) == (name not in NO_PAGE)


@pytest.mark.parametrize("name", ALERTS)
def test_nothing_critical_follows_what_was_inferred(name: str) -> None:
    """Of a scope: that something was killed is certain."""
    rule = ALERTS[name]
    by_scope = "scope=~" in rule["expr"]
    if by_scope and rule["labels"]["severity"] == "critical":
        assert set(INFERRED.findall(rule["expr"])) == {"!="}
    if "=" in INFERRED.findall(rule["expr"]):
        assert rule["labels"]["severity"] == "warning"


@pytest.mark.parametrize("name", ALERTS)
def test_a_number_of_kills_is_a_whole_one(name: str) -> None:
    for text in ALERTS[name]["annotations"].values():
        assert "humanize }}" not in text
        assert "{{ $value }}" not in text
        assert re.findall(r"\bvalue \|[^}]*", text) == re.findall(
            r'\bvalue \| (?:printf "%.0f" |humanize1024 )', text
        )


def test_what_changes_from_kill_to_kill_is_no_label() -> None:
    """It would make each kill another alert."""
    for rule in ALERTS.values():
        for labels in re.findall(r"max by \(([^)]*)\)", rule["expr"]):
            assert not {"command", "image", "trigger_command", "incident"} & set(
                re.split(r",\s*", labels)
            )
