# SPDX-License-Identifier: Apache-2.0
"""Remembers how far each ring has been delivered, so that a restart resumes exactly there.

Pinned beside the hooks, or in this process only.

The process may be killed between any two steps. So there are two copies: the one not in use is
written, and one byte says which one is in use.
"""

from __future__ import annotations

import struct

from .. import libbpf
from ..system.closeable import Closeable

SLOT = struct.Struct("=5Q")
SLOTS_AT = 8  # behind the byte that says which one is in use
SIZE = SLOTS_AT + 2 * SLOT.size
UNKNOWN = (1 << 64) - 1


class Checkpoint(Closeable):
    """How far the kernel's kills were delivered."""

    def __init__(self) -> None:
        self.generation = 0  # number of the pinned hooks whose ring is read; 0: none yet
        self.first = 0  # added to the numbers that these give to incidents
        self.incident = 0  # the last one that every sink has taken
        self.kills: int | None = None  # oom_kill of /proc/vmstat, as far as it was delivered
        self.lost = 0  # of this generation's lost_ring_full, as far as it was reported

    def start(self, generation: int, kills: int | None) -> None:
        """Read this generation's ring from now on, nothing before it; ``kills``: up to now."""
        self.generation, self.first = generation, self.incident
        self.kills, self.lost = kills, 0
        self.save()

    def switch_to(self, generation: int, first: int) -> None:
        """Read this generation's ring from now on: the one before it is delivered to its end."""
        self.generation, self.first, self.lost = generation, first, 0
        self.save()

    def delivered(self, incident: int, kills: int) -> None:
        """Every sink has this incident; ``kills``: by the kernel's count."""
        self.incident = incident
        if self.kills is not None:
            self.kills += kills
        self.save()

    def reported_lost(self, lost: int) -> None:
        self.lost = lost
        self.save()

    def save(self) -> None:
        """Write it down, where there is a place for it."""

    def close(self) -> None:
        """Nothing to close."""


class PinnedCheckpoint(Checkpoint):
    """One that the next process reads."""

    def __init__(self, map_fd: int) -> None:
        super().__init__()
        self._shared = libbpf.Shared(map_fd, SIZE)
        memory = self._shared.memory
        slot = SLOT.unpack_from(memory, SLOTS_AT + memory[0] * SLOT.size)
        self.generation, self.first, self.incident, kills, self.lost = slot
        self.kills = None if kills == UNKNOWN else kills

    def save(self) -> None:
        memory = self._shared.memory
        unused = 1 - memory[0]
        kills = UNKNOWN if self.kills is None else self.kills
        slot = (self.generation, self.first, self.incident, kills, self.lost)
        SLOT.pack_into(memory, SLOTS_AT + unused * SLOT.size, *slot)
        memory[0] = unused

    def close(self) -> None:
        self._shared.close()
