# SPDX-License-Identifier: Apache-2.0
"""The table of docs/exit-137.md is what its data say, and the data has every sender we provoke."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.kernel.senders import CAUSES

from . import causes, matrix

KERNELS = ["5.10.223", "6.1", "6.12", "7.3"]
ENOUGH = 12  # causes, on each kernel by each hook


@pytest.fixture
def data() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(causes.DATA.read_text(encoding="utf-8"))
    return kept


def run(kernel: str, outcome: str, message: str = "") -> dict[str, Any]:
    """As the matrix writes it."""
    case = {"test": "causes.sender[shell]", "outcome": outcome, "message": message}
    return {
        "kernels": [{"name": kernel, "release": f"{kernel}.1"}],
        "sessions": [{"kernel": kernel, "hook": "fentry", "cases": [case]}],
        "counts": {"passed": 1, "failed": int(outcome == "FAIL")},
    }


def test_the_table_is_what_is_made_of_its_data(data: dict[str, Any]) -> None:
    text = causes.PAGE.read_text(encoding="utf-8")
    assert text == causes.put(text, data)
    assert causes.render(data) in text


def test_every_sender_is_in_it_on_every_kernel_by_each_hook(data: dict[str, Any]) -> None:
    columns = [(column["kernel"], column["hook"]) for column in data["columns"]]
    assert columns == [(kernel, hook) for kernel in KERNELS for hook in matrix.HOOKS]
    for column in data["columns"]:
        assert column["outcomes"].keys() == CAUSES.keys()
        shown = [name for name, outcome in column["outcomes"].items() if outcome == "ok"]
        assert len({CAUSES[name].cause for name in shown}) >= ENOUGH
        assert column["left_out"].keys() == CAUSES.keys() - set(shown)


def test_a_new_run_takes_the_place_of_the_old_one_and_leaves_the_others() -> None:
    old = causes.join(causes.keep(run("7.3", "ok")), causes.keep(run("6.1", "ok")))
    new = causes.join(old, causes.keep(run("6.1", "left out", "why not")))
    assert [column["kernel"] for column in new["columns"]] == ["6.1", "7.3"]
    first, second = new["columns"]
    assert first["outcomes"] == {"shell": "left out"}
    assert first["left_out"] == {"shell": "why not"}
    assert second == old["columns"][1]
    assert "- `user`, 6.1: why not" in causes.render(new)


def test_a_run_with_a_failure_is_not_written() -> None:
    with pytest.raises(ValueError, match="1 failed"):
        causes.keep(run("6.1", "FAIL"))
