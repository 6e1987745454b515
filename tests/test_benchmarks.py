# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md and its picture say what docs/benchmarks.json has."""

from __future__ import annotations

import json

import pytest

from bench import lines, report


def test_the_page_is_what_the_generator_makes_of_the_numbers() -> None:
    if not report.NUMBERS.exists():
        pytest.skip(f"{report.NUMBERS.name} has not been measured: make bench")
    measured = json.loads(report.NUMBERS.read_text())
    assert report.PAGE.read_text() == report.page(measured)
    assert report.PICTURE.read_text() == report.picture(measured)
    assert report.LINES.read_text() == lines.draw(report.series(measured))
