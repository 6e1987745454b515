# SPDX-License-Identifier: Apache-2.0
"""The shipped dashboard: its panels, variables and expressions, filled in as Grafana does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .prometheus import DEPLOY

PATH = DEPLOY / "grafana" / "dashboards" / "container-oomkill.json"
DASHBOARD: dict[str, Any] = json.loads(PATH.read_text())
FILTERS = ("cluster", "node", "namespace", "workload")
ALL = ".*"
RESOLUTION = ":30s]"


def panels() -> list[dict[str, Any]]:
    """Every panel, those of collapsed rows too."""
    found = []
    for panel in DASHBOARD["panels"]:
        found += [panel, *panel.get("panels", [])]
    return found


def variable(name: str) -> dict[str, Any]:
    return next(each for each in DASHBOARD["templating"]["list"] if each["name"] == name)


def expressions() -> Iterator[tuple[str, str]]:
    """What Prometheus is asked, by whom: panel and legend, an annotation, a variable."""
    for panel in panels():
        for target in panel.get("targets", []):
            legend = target["legendFormat"].replace("__auto", target["refId"])
            yield f"{panel['title']}: {legend}", target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]
    for each in DASHBOARD["templating"]["list"]:
        if query := each.get("definition"):
            kind, inside = re.fullmatch(r"(\w+)\((.*)\)", query).groups()  # type: ignore[union-attr]
            if kind == "label_values":
                selector, _, label = inside.rpartition(", ")
                yield f"${each['name']}", f"count by ({label}) ({selector})"
            else:
                assert kind == "query_result", query
                yield f"${each['name']}", inside


EXPRESSIONS = dict(expressions())


def filled(expression: str, *, span: str = "1h", interval: str = "15s", **values: str) -> str:
    """Put in the variables' values; a filter that is not given is at "All".

    Tests live faster than nodes: what the dashboard looks for every 30 s, they do every second.
    """
    variables = dict.fromkeys(FILTERS, ALL) | {"incident": ""} | values
    variables |= {"__range": span, "__interval": interval, "__rate_interval": "1m"}
    text = re.sub(r"\$([a-z_]\w*)", lambda match: variables[match[1]], expression)
    return text.replace(RESOLUTION, ":1s]")
