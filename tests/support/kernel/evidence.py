# SPDX-License-Identifier: Apache-2.0
"""Collects what a test has shown about each field, compared with what the kernel says elsewhere.

exact        equal to the kernel's own number: its log, a cgroup's file, /proc
approximate  different from it, but within what is known to lie between the two
recorded     not null, and nothing to hold it against

`collected` is of the test that runs now; docs/kernels.md is made of it.
"""

from __future__ import annotations

from typing import Any

LEVELS = ("recorded", "exact", "approximate")  # what is known of a field only gets worse
collected: dict[str, str] = {}


def exact(where: str, part: dict[str, Any], **expected: object) -> None:
    """Assert that fields of a record's part are equal to the kernel's numbers."""
    for name, value in expected.items():
        field = f"{where}.{name}" if where else name
        assert part[name] == value, f"{field}: {part[name]!r} recorded, {value!r} by the kernel"
        _show(field, "exact")


def near(where: str, part: dict[str, Any], error: int, **expected: int) -> None:
    """Assert that fields differ from the kernel's numbers by no more than `error`."""
    for name, value in expected.items():
        field = f"{where}.{name}"
        ours = part[name]
        assert ours is not None, f"{field}: not recorded, {value} by the kernel"
        assert abs(ours - value) <= error, f"{field}: {ours} recorded, {value} by the kernel"
        _show(field, "exact" if ours == value else "approximate")


def recorded(part: object, where: str = "") -> None:
    """Note each field of a record that is not null."""
    if isinstance(part, dict):
        for name, value in part.items():
            recorded(value, f"{where}.{name}" if where else name)
    elif isinstance(part, list):
        for value in part:
            recorded(value, where)
    elif part is not None:
        _show(where, "recorded")


def _show(field: str, level: str) -> None:
    collected[field] = max(collected.get(field, level), level, key=LEVELS.index)
