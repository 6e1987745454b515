# SPDX-License-Identifier: Apache-2.0
"""What a page's query asks for: which incidents (`sinks.query`, as everywhere), and which page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...sinks.query import NAMES, named
from ...sinks.query import Query as Filter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NAMES", "Filter", "named", "parse_page"]


def parse_page(query: Mapping[str, str]) -> int:
    """Return the page's number, from 1. Raises `ValueError`."""
    text = query.get("page", "1")
    if not (text.isascii() and text.isdigit() and int(text[:9]) >= 1 and len(text) < 9):
        raise ValueError(f"page {text[:40]!r}: expected a whole number above 0")
    return int(text)
