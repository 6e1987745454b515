# SPDX-License-Identifier: Apache-2.0
"""How close to its limit a cgroup counts as being at it: as the recorder has it, in the kernel."""

from __future__ import annotations

from .wire import lib


def full_room(limit: int, unit: int = 1) -> int:
    """Return how far below its limit it may be: a 64th, or some MiB where that is less.

    ``limit``: in ``unit`` bytes, as is what is returned. bpf/oomkill.h says why.
    """
    room = max(limit >> lib.OOMKILL_FULL_SHIFT, lib.OOMKILL_FULL_LEAST_BYTES // unit)
    return int(min(room, limit >> lib.OOMKILL_FULL_MOST_SHIFT))
