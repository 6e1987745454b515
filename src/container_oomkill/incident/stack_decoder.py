# SPDX-License-Identifier: Apache-2.0
"""Turns a trigger's stacks into a `Stack`: the kernel's addresses to names, the rest to offsets."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from .kernel_symbols import ROLES
from .stack import Frame, Stack
from .wire import lib

DEPTH = lib.OOMKILL_STACK_DEPTH
Symbols = Callable[[Sequence[int]], tuple[str, ...] | None]


def decode_stack(raw: dict[str, Any], symbols: Symbols) -> Stack | None:
    """``raw``: from `wire.stack`. None where no function's address is known."""
    used = min(raw["used"] or 0, DEPTH)
    names = symbols(struct.unpack_from(f"={used}Q", raw["frames"]))
    return None if names is None else Stack(kernel=names)


def decode_stack_names(raw: list[bytes]) -> Stack:
    """``raw``: from `wire.stack_names`. As the kernel prints them: ``name.isra.0 [module]``."""
    found: list[str] = []
    for data in raw:
        name = data.split(b"\0", 1)[0].partition(b" ")[0].partition(b".")[0]
        text = name.decode("ascii", "replace")
        if text in ROLES and text not in found[-1:]:
            found.append(text)
    return Stack(kernel=tuple(found))


def decode_user_stack(raw: list[dict[str, Any]]) -> Stack | None:
    """``raw``: from `wire.user_stack`."""
    return Stack(user=tuple(map(_frame, raw))) if raw else None


def _frame(raw: dict[str, Any]) -> Frame:
    if raw["status"] != lib.OOMKILL_FRAME_BUILD_ID:
        return Frame()
    # Those that are shorter, as by some linkers, are filled up with zeros.
    return Frame(build_id=raw["build_id"].hex(), offset=raw["offset"])
