# SPDX-License-Identifier: Apache-2.0
"""The page about kernels is what its data says, and the data is of the kernels we have."""

from __future__ import annotations

import json

from .vm import page, table

DATA = json.loads(page.DATA.read_text(encoding="utf-8"))


def test_the_page_is_what_is_made_of_its_data() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.render(DATA)


def test_it_names_kernels_of_the_table_alone() -> None:
    named = {kernel["name"].split()[0] for kernel in DATA["kernels"]}
    assert named
    assert named <= {spec.name for spec in table.load() if spec.arch == "amd64"}


def test_a_new_run_takes_the_place_of_the_old_one_and_leaves_the_others() -> None:
    [first, *others] = [kernel["name"] for kernel in DATA["kernels"]]
    anew = {"kernel": first, "rung": "fentry", "outcomes": {"new": "ok"}, "fields": {}}
    run = {
        "kernels": [{"name": first, "release": "1", "why": "", "shown": "2030-01-01"}],
        "tests": ["new"],
        "left_out": {"why not": {"other": [f"{first} fentry"]}},
        "columns": [anew],
    }
    joined = page.join(DATA, run)
    assert [kernel["name"] for kernel in joined["kernels"]] == [first, *others]
    assert [each for each in joined["columns"] if each["kernel"] == first] == [anew]
    rest = [each for each in DATA["columns"] if each["kernel"] != first]
    assert [each for each in joined["columns"] if each["kernel"] != first] == rest
    for reason, tests in joined["left_out"].items():
        for columns in tests.values():
            assert reason == "why not" or not any(each.startswith(f"{first} ") for each in columns)


def test_nothing_failed_in_it() -> None:
    outcomes = {outcome for column in DATA["columns"] for outcome in column["outcomes"].values()}
    assert outcomes == {"ok"}
