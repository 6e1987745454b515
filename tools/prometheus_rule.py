# SPDX-License-Identifier: Apache-2.0
"""Prints Prometheus rules as the object that the Prometheus Operator reads.

    cd deploy/kubernetes/components/prometheus-operator
    python ../../../../tools/prometheus_rule.py > prometheusrule.yaml

kustomize reads rules only as an object; tests/manifests hold the two together.
"""

from __future__ import annotations

from pathlib import Path

RULES = Path(__file__).parents[1] / "deploy/prometheus/rules/container-oomkill.yml"
HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# written by tools/prometheus_rule.py: change deploy/prometheus/rules, not this
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: container-oomkill
  namespace: container-oomkill
  labels:
    app.kubernetes.io/name: container-oomkill
spec:
"""


def render(rules: str) -> str:
    """Return the object; the rules stay as they are written, comments too."""
    _, groups, below = rules.partition("groups:\n")
    lines = (groups + below).splitlines()
    return HEAD + "".join(f"  {line}".rstrip() + "\n" for line in lines)


if __name__ == "__main__":
    print(render(RULES.read_text(encoding="utf-8")), end="")
