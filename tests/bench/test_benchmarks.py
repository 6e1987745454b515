# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md and its picture say what docs/benchmarks.json has."""

from __future__ import annotations

import json
import re
from types import ModuleType

import pytest

from bench import lines, report, tool
from container_oomkill import kubernetes
from container_oomkill.metrics import exposition
from container_oomkill.web import http, page


def test_the_page_is_what_the_generator_makes_of_the_numbers() -> None:
    if not report.NUMBERS.exists():
        pytest.skip(f"{report.NUMBERS.name} has not been measured: make bench")
    measured = json.loads(report.NUMBERS.read_text())
    assert report.PAGE.read_text() == report.page(measured)
    assert report.PICTURE.read_text() == report.picture(measured)
    assert report.LINES.read_text() == lines.draw(report.series(measured))


@pytest.mark.parametrize("module", [http, exposition, kubernetes, page])
def test_what_stays_by_hand_refers_to_its_figures_and_has_none(module: ModuleType) -> None:
    words = module.__doc__ or ""
    assert '"What stays by hand"' in words
    assert not re.search(r"\d (MiB|KiB|times|x)\b", words)
    assert "## What stays by hand" in report.PAGE.read_text()


def test_a_word_is_said_when_its_last_piece_is_there() -> None:
    said = [(1.0, b"att"), (2.0, b"ached with fentry\n"), (9.0, b"more")]
    assert tool.when("attached with", said) == 2.0
    assert tool.when("nothing", said) is None


@pytest.mark.parametrize(("found", "verdict"), [(1.0, "met"), (1.01, "**missed**")])
def test_a_goal_is_met_or_missed(found: float, verdict: str) -> None:
    measured = json.loads(report.NUMBERS.read_text())
    measured["flow"]["latency_ms"] = [found] * 3
    (line,) = [each for each in report.goals(measured).splitlines() if "served, p50" in each]
    assert line.endswith(f"| <= 1 | {found:.2f} | {verdict} |")


def test_medians_and_percentiles() -> None:
    assert report.spread([1, 9, 2], "ms", 0) == "2 ms [1-9]"
    assert report.percentile(range(1, 101), 99) == 100
    assert report.percentile([7], 99) == 7
