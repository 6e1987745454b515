# SPDX-License-Identifier: Apache-2.0
"""Links from one page of a list to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import htpy as h

if TYPE_CHECKING:
    from .filters import Filter


def pages(number: int, found: int, a_page: int, wanted: Filter, path: str) -> h.Node:
    """``number``: of the page shown, from 1; nothing where all are on one."""
    last = max(1, -(-found // a_page))
    if last == 1:
        return None
    return h.nav(".pages", aria_label="Pages")[
        number > 1 and h.a(rel="prev", href=wanted.link(path, min(number - 1, last)))["Newer"],
        h.span[f"page {number} of {last}"],
        number < last and h.a(rel="next", href=wanted.link(path, number + 1))["Older"],
    ]
