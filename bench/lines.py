# SPDX-License-Identifier: Apache-2.0
"""Draws series as small charts side by side, both axes logarithmic; SVG.

What grows as fast as its cause rises from corner to corner; what does not grow lies flat.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

Points = Sequence[tuple[float, float]]
Series = tuple[str, str, Points]  # title, what it grows with, points

ACROSS = 4
WIDTH, HEIGHT = 200, 130  # of a chart
LEFT, TOP, GAP_X, GAP_Y = 60, 46, 75, 80


def draw(series: Sequence[Series]) -> str:
    """One chart for each."""
    rows = math.ceil(len(series) / ACROSS)
    width = LEFT + ACROSS * (WIDTH + GAP_X) - GAP_X + 30
    height = TOP + rows * (HEIGHT + GAP_Y) - 20
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            ' font-family="sans-serif" font-size="12">'
        ),
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, (title, cause, points) in enumerate(series):
        row, column = divmod(number, ACROSS)
        x, y = LEFT + column * (WIDTH + GAP_X), TOP + row * (HEIGHT + GAP_Y)
        parts += _chart(x, y, title, cause, points)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _chart(x: int, y: int, title: str, cause: str, points: Points) -> Iterator[str]:
    first, last = _decades([cause_of for cause_of, _ in points])
    low, high = _decades([value for _, value in points])

    def across(value: float) -> float:
        return x + WIDTH * (math.log10(value) - first) / (last - first)

    def up(value: float) -> float:
        return y + HEIGHT - HEIGHT * (math.log10(value) - low) / (high - low)

    yield f'<text x="{x}" y="{y - 12}" font-weight="bold">{title}</text>'
    for decade in range(low, high + 1):
        at = up(10.0**decade)
        yield f'<path d="M{x} {at:.1f}h{WIDTH}" stroke="#d0d7de"/>'
        yield f'<text x="{x - 6}" y="{at + 4:.1f}" text-anchor="end">{_number(decade)}</text>'
    for decade in range(first, last + 1):
        at = across(10.0**decade)
        yield _centred(at, y + HEIGHT + 16, _number(decade))
    yield _centred(x + WIDTH / 2, y + HEIGHT + 32, cause)
    corners = " ".join(f"{across(one):.1f},{up(other):.1f}" for one, other in points)
    yield f'<polyline points="{corners}" fill="none" stroke="#1f6feb" stroke-width="2"/>'
    for one, other in points:
        yield f'<circle cx="{across(one):.1f}" cy="{up(other):.1f}" r="3" fill="#1f6feb"/>'


def _centred(x: float, y: int, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{text}</text>'


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around all of them, two at least."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _number(decade: int) -> str:
    return f"{10.0**decade:,.{max(0, -decade)}f}"
