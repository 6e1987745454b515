# SPDX-License-Identifier: Apache-2.0
"""Draws where the memory was as one bar of characters, against the limit."""

from __future__ import annotations

from ..diagnosis.breakdown import Breakdown

FREE = "free"
BLOCKS = {
    "anon": "█",
    "file": "▓",
    "shmem": "▒",
    "kernel": "▚",
    "sockets": "▞",
    "hugetlb": "▙",
    "pinned": "▜",
    "page_tables": "▟",
    "rest": "░",
    FREE: "·",
}
PLAIN = {
    "anon": "#",
    "file": "=",
    "shmem": "%",
    "kernel": "+",
    "sockets": "*",
    "hugetlb": "&",
    "pinned": "!",
    "page_tables": "@",
    "rest": "-",
    FREE: ".",
}


def sizes(breakdown: Breakdown) -> dict[str, int]:
    """Return the bytes of each kind there is any of, and of what the limit left."""
    known = {part.kind: part.bytes for part in breakdown.parts}
    known[FREE] = breakdown.free_bytes or 0
    return {kind: bytes_ for kind, bytes_ in known.items() if bytes_}


def cells(parts: dict[str, int], columns: int) -> dict[str, int]:
    """Share the columns out, none left over: each its whole ones, the rest to the largest rests."""
    whole = sum(parts.values())
    if not whole:
        return {}
    shares = {kind: divmod(bytes_ * columns, whole) for kind, bytes_ in parts.items()}
    missing = columns - sum(count for count, _ in shares.values())
    lucky = sorted(shares, key=lambda kind: shares[kind][1], reverse=True)[:missing]
    return {kind: count + (kind in lucky) for kind, (count, _) in shares.items()}
