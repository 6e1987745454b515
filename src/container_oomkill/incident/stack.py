# SPDX-License-Identifier: Apache-2.0
"""What the trigger was doing when memory ran out: a part of the `Incident`.

The attribute names are the JSON keys (docs/record.md).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in a program or a library; both None: it is in neither, or the kernel did not say."""

    build_id: str | None = None  # of the file, hexadecimal
    offset: int | None = None  # into the file, bytes


@dataclass(frozen=True, slots=True)
class Stack:
    """Innermost first; of the kernel's functions those of incident/kernel_symbols.py only."""

    kernel: tuple[str, ...] | None = None  # None: nobody told us where the functions are
    user: tuple[Frame, ...] | None = None  # None: not asked for, or there is none
