# SPDX-License-Identifier: Apache-2.0
"""Takes what was tried, gives a table of it: part by part, one line a row, as they came."""

from __future__ import annotations

import textwrap

WIDTH = 150
_rows: dict[str, list[tuple[str, str, float | None]]] = {}


def add(part: str, what: str, result: str, seconds: float | None = None) -> None:
    """``part``: what the row belongs to; ``seconds``: how long it took."""
    _rows.setdefault(part, []).append((what, result, seconds))


def lines() -> list[str]:
    found: list[str] = []
    for part, rows in _rows.items():
        found += ["", part]
        for what, result, seconds in rows:
            took = "" if seconds is None else f"{seconds:.1f} s"
            first, *others = textwrap.wrap(result, WIDTH - 50) or [""]
            found.append(f"  {what:<38} {took:>8}  {first}")
            found += [" " * 50 + other for other in others]
    return found
