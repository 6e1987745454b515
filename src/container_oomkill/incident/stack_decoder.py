# SPDX-License-Identifier: Apache-2.0
"""Turns a trigger's stacks into a `Stack`: the kernel's addresses to names, the rest to offsets."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from .stack import Frame, Stack
from .wire import lib

DEPTH = lib.OOMKILL_STACK_DEPTH
Symbols = Callable[[Sequence[int]], tuple[str, ...] | None]


def decode_stack(raw: dict[str, Any], symbols: Symbols) -> Stack | None:
    """``raw``: from `wire.stack`. None where no function's address is known."""
    used = min(raw["used"] or 0, DEPTH)
    names = symbols(struct.unpack_from(f"={used}Q", raw["frames"]))
    return None if names is None else Stack(kernel=names)


def decode_user_stack(raw: list[dict[str, Any]]) -> Stack | None:
    """``raw``: from `wire.user_stack`."""
    return Stack(user=tuple(map(_frame, raw))) if raw else None


def _frame(raw: dict[str, Any]) -> Frame:
    if raw["status"] != lib.OOMKILL_FRAME_BUILD_ID:
        return Frame()
    # Those that are shorter, as by some linkers, are filled up with zeros.
    return Frame(build_id=raw["build_id"].hex(), offset=raw["offset"])
