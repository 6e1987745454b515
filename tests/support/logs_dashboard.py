# SPDX-License-Identifier: Apache-2.0
"""The shipped dashboard of the logs: its panels and expressions, filled in as Grafana does."""

from __future__ import annotations

import json
import re
from typing import Any

from .prometheus import DEPLOY

PATH = DEPLOY / "grafana" / "dashboards" / "container-oomkill-logs.json"
DASHBOARD: dict[str, Any] = json.loads(PATH.read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
FILTERS = ("cluster", "node", "namespace", "workload")


def expressions(source: str) -> dict[str, str]:
    """What Loki, or Prometheus, is asked, by panel."""
    return {
        f"{panel['title']}: {target['refId']}": target["expr"]
        for panel in PANELS
        for target in panel["targets"]
        if target["datasource"]["type"] == source
    }


LOGQL, PROMQL = expressions("loki"), expressions("prometheus")


def filled(expression: str, *, span: str = "1h", **values: str) -> str:
    """Put in the variables' values; a filter that is not given is at "All"."""
    variables = dict.fromkeys(FILTERS, ".*") | {"search": ""} | values
    variables |= {"__range": span, "__interval": span}
    return re.sub(r"\$([a-z_]\w*)", lambda match: variables[match[1]], expression)
