# SPDX-License-Identifier: Apache-2.0
"""The pages about kernels are what their data says, and the data is of the kernels we have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from . import page, table

# Of arm64 from its first whole run on.
ARCHES = ["amd64", *(["arm64"] if page.data_file("arm64").exists() else [])]


@pytest.fixture(params=ARCHES)
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(arch: str) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(page.data_file(arch).read_text(encoding="utf-8"))
    return kept


def test_it_names_kernels_of_the_table_alone(arch: str, data: dict[str, Any]) -> None:
    named = {kernel["name"].split()[0] for kernel in data["kernels"]}
    assert named
    assert named <= {spec.name for spec in table.load() if spec.arch == arch}


def test_a_new_run_takes_the_place_of_the_old_one_and_leaves_the_others(
    data: dict[str, Any],
) -> None:
    [first, *others] = [kernel["name"] for kernel in data["kernels"]]
    anew = {"kernel": first, "hook": "fentry", "outcomes": {"new": "ok"}, "fields": {}}
    run = {
        "kernels": [{"name": first, "release": "1", "why": "", "shown": "2030-01-01"}],
        "tests": ["new"],
        "left_out": {"why not": {"other": [f"{first} fentry"]}},
        "columns": [anew],
    }
    joined = page.join(data, run)
    assert [kernel["name"] for kernel in joined["kernels"]] == [first, *others]
    assert [each for each in joined["columns"] if each["kernel"] == first] == [anew]
    rest = [each for each in data["columns"] if each["kernel"] != first]
    assert [each for each in joined["columns"] if each["kernel"] != first] == rest
    for reason, tests in joined["left_out"].items():
        for columns in tests.values():
            assert reason == "why not" or not any(each.startswith(f"{first} ") for each in columns)


def test_the_page_is_what_is_made_of_its_data(arch: str, data: dict[str, Any]) -> None:
    text = page.data_file(arch).with_suffix(".md").read_text(encoding="utf-8")
    assert text == page.render(data, arch)


def test_nothing_failed_in_it(data: dict[str, Any]) -> None:
    outcomes = {outcome for column in data["columns"] for outcome in column["outcomes"].values()}
    assert outcomes == {"ok"}
