# SPDX-License-Identifier: Apache-2.0
"""What the documents say can be followed: links, commands, variables, queries, metric names."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from container_oomkill.cli.options import COMMANDS
from container_oomkill.cli.parser import all_variables, build_parser, parse
from container_oomkill.metrics.document import document
from container_oomkill.otlp.log_record import log_record

from ..support.befores import before
from ..support.incidents import container, incident
from ..support.prometheus import needs_prometheus
from ..support.receiver import attributes


def options() -> Iterator[str]:
    for name in COMMANDS:
        _, command = build_parser(name)
        assert command is not None
        yield from command._option_string_actions


ROOT = Path(__file__).parents[2]
OPTIONS = set(options())
# A changelog speaks of what was, the migration page of the prototype's names as well.
DOCUMENTS = sorted(
    path
    for folder in ("", "docs/**/", "deploy/**/", "examples/")
    for path in ROOT.glob(f"{folder}*.md")
    if path.name != "CHANGELOG.md"
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# `container-oomkill probe -o json >> kills`, alone or behind `kubectl exec ... --`: up to what only
# a shell understands.
COMMAND = re.compile(rf"(?:^|[\s`])container-oomkill ((?:{'|'.join(COMMANDS)})\b[^`\n#|>&]*)")
QUERY = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What stands for a value in a command line.
PLACEHOLDERS = re.compile(r"\s*\[[A-Z]+\]|\.\.\.")
GROUPS = {each[2:].partition(".")[0] for each in OPTIONS if "." in each}
DOTTED = re.compile(rf"(?<![\w-])--(?:{'|'.join(GROUPS)})\.[a-z.-]*[a-z]")
NAME = re.compile(r"\bcontainer_oomkill_[a-z0-9_]*[a-z0-9]\b")
LATENCY = "container_oomkill_latency_seconds"
METRICS = {*NAME.findall(document()), *(f"{LATENCY}_{part}" for part in ("bucket", "sum", "count"))}
# Loki writes an attribute's dots as underscores.
WITH_ALL = incident(
    before=replace(before(lambda _: 31, 600), shape="spike"),
    container=container("app", workload="Deployment/cart"),
)
IN_LOKI = {name.replace(".", "_") for name in attributes(log_record(WITH_ALL))}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def leads(path: Path, target: str) -> bool:
    """Whether a link's file is there, and the heading it names in it."""
    if re.match(r"[a-z]+:", target):
        return True  # another site's: not asked, as tests use no network
    file, _, anchor = target.partition("#")
    found = path.parent / file if file else path
    if anchor and found.suffix == ".md":
        return anchor in anchors(found)
    return found.exists()


def anchors(path: Path) -> set[str]:
    """A document's headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    broken = [target for target in LINK.findall(path.read_text()) if not leads(path, target)]
    assert broken == []


@each_document
def test_commands_are_understood(path: Path) -> None:
    """Parsed as the command would; nothing is run."""
    for words in COMMAND.findall(path.read_text()):
        parse(shlex.split(PLACEHOLDERS.sub("", words)), {})


@each_document
def test_options_and_variables_exist(path: Path) -> None:
    text = path.read_text()
    variables = set(re.findall(r"\bCONTAINER_OOMKILL_[A-Z_]*[A-Z]\b", text))
    assert variables <= set(all_variables())
    assert set(DOTTED.findall(text)) <= OPTIONS


@each_document
def test_metrics_exist(path: Path) -> None:
    assert set(NAME.findall(path.read_text())) <= METRICS | IN_LOKI


@needs_prometheus
def test_prometheus_understands_the_queries(tmp_path: Path) -> None:
    queries = [query for path in DOCUMENTS for query in QUERY.findall(path.read_text())]
    assert queries
    rules = [{"record": f"documented:{n}", "expr": query} for n, query in enumerate(queries)]
    file = tmp_path / "rules.json"  # JSON is YAML, too
    file.write_text(json.dumps({"groups": [{"name": "documents", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ["## Untrusted input", "## When something fails"])
def test_each_promise_about_security_names_its_test(part: str) -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.partition(part)[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 8
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    for row in rows:
        named = re.findall(r"`(?:(tests/[\w/]+\.py)|(test_\w+\.py))`", row)
        # The one that only a machine with such a state could show.
        assert named or row.startswith("| the machine was suspended |"), row
        for path, name in named:
            assert (ROOT / path).exists() if path else name in there, row


def test_the_readme_is_short_and_has_four_ways_to_install() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") < 150
    ways = re.findall(r"<summary><b>(\w+)</b></summary>\n\n(.*?)</details>", text, re.DOTALL)
    assert [name for name, _ in ways] == ["Docker", "Kubernetes", "systemd", "pip"]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for _, steps in ways:
        made = re.search(r"^    make ([a-z -]+?)(?: [A-Z#].*)?$", steps, re.MULTILINE)
        assert made
        assert set(made[1].split()) <= targets
