# SPDX-License-Identifier: Apache-2.0
"""Turns struct oomkill_shortage into `Reclaim` and `Refaults`: seconds before the kill, bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..units import NS
from .before import Before, Reclaim, ReclaimOf, Refaults, RefaultsOf
from .wire import lib

LULL_NS = lib.OOMKILL_LULL_NS
MOST_BYTES = (1 << 64) - 1


def decode_shortage(raw: dict[str, Any], page_size: int, known: Before) -> Before:
    """``raw``: from `wire.shortage`; ``known``: what it is added to."""
    reclaim = Reclaim(*(_reclaim(raw, f"{of}.") for of in ("domain", "victim")))
    refaults = Refaults(*(_refaults(raw, f"{of}_refaults.", page_size)
                          for of in ("domain", "victim")))  # fmt: skip
    return replace(
        known,
        reclaim=None if reclaim == Reclaim() else reclaim,
        refaults=None if refaults == Refaults() else refaults,
    )


def _reclaim(raw: dict[str, Any], of: str) -> ReclaimOf | None:
    """Return nothing for an episode that was over long before the kill, or is none."""
    now, first, last = raw["header.boot_ns"], raw[of + "first_ns"], raw[of + "last_ns"]
    if not first or last is None or first > now or now - last > LULL_NS:  # last: by then, or later
        return None
    stalled = raw[of + "stalled_ns"]
    return ReclaimOf(
        first_before_seconds=round((now - first) / NS, 6),
        passes=raw[of + "passes"],
        stalled_seconds=None if stalled is None else round(stalled / NS, 6),
    )


def _refaults(raw: dict[str, Any], of: str, page_size: int) -> RefaultsOf | None:
    found = RefaultsOf(
        *(_bytes(raw[of + kind], page_size) for kind in ("anon_pages", "file_pages"))
    )
    return None if found == RefaultsOf() else found


def _bytes(pages: int | None, page_size: int) -> int | None:
    if pages is None or pages * page_size > MOST_BYTES:
        return None
    return pages * page_size
