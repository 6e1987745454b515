# SPDX-License-Identifier: Apache-2.0
"""Writes a line of JSON for each test's result: a cell of the kernel matrix.

{"test", "hook", "outcome": "ok" | "FAIL" | "left out", "message", "seconds", "fields"}
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from . import evidence


class Results:
    """A pytest plugin; a line is written as soon as its test is over, for a guest may die."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._of: dict[str, dict[str, object]] = {}

    def expect(self, item: pytest.Item) -> None:
        """Learn a test's name and hook, which pytest's reports do not have."""
        self._of[item.nodeid] = {"test": name_of(item), "hook": hook_of(item)}

    def left_out(self, item: pytest.Item, reason: str) -> None:
        self._write(item.nodeid, outcome="left out", message=reason, seconds=0, fields={})

    def pytest_runtest_setup(self) -> None:
        evidence.collected.clear()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Keep with the test what it has shown of the record's fields."""
        item.user_properties.append(("fields", dict(evidence.collected)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        cell = self._of[report.nodeid]
        cell["seconds"] = float(str(cell.get("seconds", 0))) + report.duration
        if report.failed:
            cell |= {"outcome": "FAIL", "message": _why(report)}
        elif report.skipped:  # found out only when it ran: why it cannot be shown here
            cell |= {"outcome": "left out", "message": _why(report).removeprefix("Skipped: ")}
        if report.when == "teardown":
            fields = dict(report.user_properties).get("fields", {})
            outcome = {"outcome": "ok", "message": ""} if "outcome" not in cell else {}
            self._write(report.nodeid, **outcome, fields=fields)

    def _write(self, nodeid: str, **more: object) -> None:
        print(json.dumps(self._of.pop(nodeid) | more), file=self._file)


def name_of(item: pytest.Item) -> str:
    """tests/kernel/test_kills.py::test_own_limit[fentry-x] -> kills.own_limit[x]."""
    function = getattr(item, "originalname", item.name).removeprefix("test_")
    others = [part for part in _parameters(item) if part != hook_of(item)]
    suffix = f"[{'-'.join(others)}]" if others else ""
    return f"{item.path.stem.removeprefix('test_')}.{function}{suffix}"


def hook_of(item: pytest.Item) -> str | None:
    """The hook a test runs on; None for one that needs no hook."""
    callspec = getattr(item, "callspec", None)
    hook: str | None = callspec.params.get("hook") if callspec else None
    return hook


def _parameters(item: pytest.Item) -> list[str]:
    callspec = getattr(item, "callspec", None)
    return callspec.id.split("-") if callspec else []


def _why(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)
