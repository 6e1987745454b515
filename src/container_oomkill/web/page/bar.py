# SPDX-License-Identifier: Apache-2.0
"""Draws a breakdown of memory as a bar against the limit, with a table that says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.below import percent
from ...units import size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...diagnosis.breakdown import Breakdown, Part

WIDTH = 1000
HEIGHT = 10


def bar(breakdown: Breakdown) -> h.Element:
    """Draw the bar alone: it adds to the words beside it."""
    box = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none"}
    return h.svg(".bar", box, aria_hidden="true")[
        h.rect(".room", width=str(WIDTH), height=str(HEIGHT)),
        _segments(breakdown),
        _limit(breakdown),
    ]


def _segments(breakdown: Breakdown) -> Iterator[h.Node]:
    start = 0
    for part in breakdown.parts:
        left, right = (
            round(WIDTH * at / breakdown.whole_bytes, 1) for at in (start, start + part.bytes)
        )
        start += part.bytes
        if right > left:
            yield h.rect(
                {"data-kind": part.kind},
                x=str(left),
                width=f"{right - left:.1f}",
                height=str(HEIGHT),
            )


def _limit(breakdown: Breakdown) -> h.Node:
    if not breakdown.limit_bytes:
        return None
    at = str(round(WIDTH * breakdown.limit_bytes / breakdown.whole_bytes, 1))
    return h.line(".limit", x1=at, x2=at, y1="0", y2=str(HEIGHT))


def explained(
    breakdown: Breakdown, title: str, *, end: str = "limit", remarks: Iterable[str] | None = None
) -> h.Element:
    """Draw the bar, and say the same in a table.

    ``end``: what the end of the bar is called; ``remarks``: in the place of those on a cgroup's.
    """
    return h.figure(".memory")[
        h.figcaption[title],
        bar(breakdown),
        h.div(".scale")[
            h.span["0"],
            breakdown.usage_bytes is not None and h.span["used ", size(breakdown.usage_bytes)],
            breakdown.limit_bytes and h.span(".limit")[end, " ", size(breakdown.limit_bytes)],
        ],
        h.table(".kinds")[
            h.caption(".unseen")[title, ", by kind"],
            h.tbody[(_row(part, breakdown) for part in breakdown.parts if part.bytes)],
        ],
        [
            h.p(".remark")[remark]
            for remark in (_remarks(breakdown) if remarks is None else remarks)
        ],
    ]


def _row(part: Part, breakdown: Breakdown) -> h.Element:
    share = percent(part.bytes, breakdown.limit_bytes or breakdown.usage_bytes)
    return h.tr[
        h.th(scope="row")[swatch(part.kind), " ", part.words, part.approximate and ", at least"],
        h.td[size(part.bytes)],
        h.td["" if share is None else f"{share} %"],
    ]


def swatch(kind: str) -> h.Element:
    return h.svg(".swatch", {"viewBox": "0 0 10 10"}, aria_hidden="true")[
        h.rect({"data-kind": kind}, width="10", height="10", rx="2")
    ]


def _remarks(breakdown: Breakdown) -> Iterator[str]:
    if not breakdown.of_all:
        yield (
            "Only the resident memory of the killed processes is known: this hook or kernel does "
            "not provide the cgroup's memory.stat."
        )
        if breakdown.usage_bytes is not None:
            yield "Files they mapped are left out: other cgroups may have been charged for them."
    if breakdown.approximate:
        yield "Approximate: child cgroups had not yet passed up all of their statistics."
    if any(part.is_rest for part in breakdown.parts):
        yield (
            "Not told apart: memory that was charged but belongs to no kind above"
            + ("." if breakdown.of_all else ": other processes, page cache and kernel memory.")
        )
