# SPDX-License-Identifier: Apache-2.0
"""Turns struct oomkill_stack into a `Stack`: addresses to the names of the functions known."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from .stack import Stack
from .wire import lib

DEPTH = lib.OOMKILL_STACK_DEPTH
Symbols = Callable[[Sequence[int]], tuple[str, ...] | None]


def decode_stack(raw: dict[str, Any], symbols: Symbols) -> Stack | None:
    """``raw``: from `wire.stack`. None where no function's address is known."""
    used = min(raw["used"] or 0, DEPTH)
    names = symbols(struct.unpack_from(f"={used}Q", raw["frames"]))
    return None if names is None else Stack(kernel=names)
