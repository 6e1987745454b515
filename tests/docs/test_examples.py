# SPDX-License-Identifier: Apache-2.0
"""examples/: what is there to be copied does what its first lines say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.manifests import charted, environment, one

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def demo() -> str:
    """Return the records that come with the package, one a line."""
    command = (sys.executable, "-m", "container_oomkill", "demo", "-o", "json")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def jq(name: str, *options: str) -> list[list[str]]:
    """Return the rows that a program makes of them."""
    command = ("jq", *options, "-r", "-f", str(EXAMPLES / "jq" / name))
    done = subprocess.run(command, input=demo(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_kills_by_workload() -> None:
    rows = jq("by-workload.jq", "-s")
    assert rows[0] == ["2", "blog-wordpress", "container"]
    assert ["1", "shop/web", "pod"] in rows
    assert sum(int(row[0]) for row in rows) == len(demo().splitlines())


def test_what_was_held_beside_the_limit() -> None:
    rows = jq("limits.jq")
    assert ["48", "7.8", "rclone", "2026-11-29T18:32:39"] in rows  # most of it was page cache
    assert not any(row[2] == "rssfile" for row in rows)  # the node ran out, not a limit


def test_leaks() -> None:
    assert jq("leaks.jq", "-s") == [["953", "0.1", "cart"]]


@pytest.mark.parametrize("name", ["by-workload.jq", "limits.jq", "leaks.jq"])
def test_nothing_was_killed(name: str) -> None:
    command = ("jq", "-s", "-r", "-f", str(EXAMPLES / "jq" / name))
    done = subprocess.run(command, input="", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_index_has_every_file() -> None:
    linked = set(re.findall(r"\]\(([^).][^)]*)\)", (EXAMPLES / "README.md").read_text()))
    files = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.*") if path.is_file()}
    assert linked == files - {"README.md"}


def test_the_charts_values() -> None:
    found = charted("-f", str(EXAMPLES / "helm-values.yaml"))
    for kind in ("PodMonitor", "PrometheusRule"):
        assert one(found, kind)["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    variables = environment(found)
    for option in ("KUBERNETES", "KUBERNETES_EVENTS", "PIN"):
        assert f"CONTAINER_OOMKILL_{option}" in variables
    assert variables["CONTAINER_OOMKILL_LOG_INCIDENTS"] == "json"
