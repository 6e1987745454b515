# SPDX-License-Identifier: Apache-2.0
"""The page about shapes is what its data says, and no kill of it was told to be something else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from container_oomkill.incident.shapes import SHAPES

from . import shapes_page

RUN = {
    "release": "6.12.1+deb13-amd64",
    "machine": "x86_64",
    "cgroup": "v2",
    "hook": "fentry",
    "again": 3,
    "told": [["leak", "leak", 14], ["leak", None, 1], ["spike", "spike", 15]],
    "shown": "2030-01-01",
}


@pytest.fixture
def kept() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(shapes_page.DATA.read_text(encoding="utf-8"))
    return rows


def test_the_page_is_what_is_made_of_its_data(kept: list[dict[str, Any]]) -> None:
    assert shapes_page.PAGE.read_text(encoding="utf-8") == shapes_page.render(kept)


def test_each_kernel_told_all_shapes_as_they_were_scripted(kept: list[dict[str, Any]]) -> None:
    for row in kept:
        assert {scripted for scripted, _, _ in row["told"]} == set(SHAPES)
        assert [each for each in row["told"] if each[0] != each[1]] == []
        assert sum(count for _, _, count in row["told"]) >= 100


def test_a_new_run_takes_the_place_of_that_kernels_old_one() -> None:
    newer = RUN | {"release": "6.12.9+deb13-amd64"}
    older = RUN | {"release": "6.1.0-56-amd64"}
    hybrid = RUN | {"cgroup": "v1"}
    joined = shapes_page.join([hybrid, RUN, older], newer)
    assert [row["release"] for row in joined] == [
        older["release"],
        RUN["release"],
        newer["release"],
    ]
    assert hybrid in joined
    assert RUN not in joined


def test_a_confusion_is_in_its_cell() -> None:
    assert "| 14 of 15 (1 None) | 15 of 15 | 30 | 3 |" in shapes_page.render([RUN])
