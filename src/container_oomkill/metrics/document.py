# SPDX-License-Identifier: Apache-2.0
"""Writes docs/metrics.md from the metric table.

python -m container_oomkill.metrics.document docs/metrics.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from .table import LABELS, SECTIONS

INTRODUCTION = """\
# Metrics

<!-- written by `python -m container_oomkill.metrics.document`: change the table, not this -->

Everything about a container has the labels `namespace`, `pod` and `container`. `container` is the
best known name: Kubernetes' name, else Docker's or Podman's, else the systemd unit, else the first
12 characters of the id. Control characters in a value are written as `\\xNN`; a value is cut at 256
characters.

`scope` is what ran out: `container`, `pod`, `cgroup`, `node`, `cpuset`, `mempolicy`, `manual`.
Known containers start with the scopes `container`, `node` and `pod` (in a pod) or `cgroup`.

The number of label sets is bounded: the last kills of 500 containers (`--metrics.max-containers`),
the counters of four times as many, and the sums of 256 namespaces. Beyond that the oldest are
dropped of whoever has most - a user (by their slice), a namespace, else each container for itself -
and counted in `container_oomkill_series_evicted_total`: nobody who makes up names costs another
theirs. A dropped counter that comes back starts at 0, which Prometheus treats as a counter reset.
Counters of a container that is no longer known are dropped after a day without a kill.

OpenMetrics (`Accept: application/openmetrics-text`), which Prometheus asks for first, adds
`_created` timestamps to the counters. Prometheus keeps them as series of their own, one more for
each counter. Prometheus 3 with `--enable-feature=created-timestamp-zero-ingestion` does not: it
begins each counter with a 0 at that time, so that `increase()` has also the kill that began a
series. Three kills of three containers nobody knew before were an increase of 3.4 with it and of 0
without (3.16). The sums need neither.
`process_*` are the metrics of every Prometheus client library.
"""


def document() -> str:
    """Return docs/metrics.md."""
    parts = [INTRODUCTION]
    for title, text, rows in SECTIONS:
        parts.append(f"\n## {title}\n")
        if text:
            parts.append(f"\n{text}\n")
        parts.append("\n| metric | type | labels | meaning |\n|---|---|---|---|\n")
        for row in rows:
            own = set(LABELS) <= set(row.labels)
            named = [label for label in row.labels if not own or label not in LABELS]
            labels = ", ".join(f"`{label}`" for label in named)
            if own:
                labels = "container's" + (f", {labels}" if labels else "")
            kind = "gauge 1" if row.type == "info" else row.type
            parts.append(f"| `{row.sample}` | {kind} | {labels} | {row.help} |\n")
    return "".join(parts)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m container_oomkill.metrics.document docs/metrics.md")
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
