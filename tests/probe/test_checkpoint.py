# SPDX-License-Identifier: Apache-2.0
"""The checkpoint in memory that another process reads, whenever this one is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from container_oomkill.probe.checkpoint import SIZE, SLOT, SLOTS_AT, Checkpoint, PinnedCheckpoint


@pytest.fixture
def memory() -> Iterator[int]:
    """Stands for the map: memory that is mapped shared."""
    file = os.memfd_create("checkpoint")
    os.truncate(file, SIZE)
    yield file
    os.close(file)


def values(kept: Checkpoint) -> tuple[int, int, int, int | None, int]:
    return kept.generation, kept.first, kept.incident, kept.kills, kept.lost


def test_the_next_process_goes_on_where_this_one_was(memory: int) -> None:
    with PinnedCheckpoint(memory) as kept:
        assert values(kept) == (0, 0, 0, 0, 0)
        kept.start(3, 100)
        kept.delivered(7, 2)
        kept.reported_lost(5)
    with PinnedCheckpoint(memory) as kept:
        assert values(kept) == (3, 0, 7, 102, 5)
        kept.switch_to(4, 7)
    with PinnedCheckpoint(memory) as kept:
        assert values(kept) == (4, 7, 7, 102, 0)
        kept.start(5, None)
        kept.delivered(8, 1)
    with PinnedCheckpoint(memory) as kept:
        assert values(kept) == (5, 7, 8, None, 0)


def test_killed_at_any_write_it_is_the_old_or_the_new(memory: int) -> None:
    with PinnedCheckpoint(memory) as kept:
        kept.start(1, 50)
    before = os.pread(memory, SIZE, 0)
    with PinnedCheckpoint(memory) as kept:
        kept.delivered(1, 1)
    after = os.pread(memory, SIZE, 0)
    unused = 1 - before[0]
    slot = slice(SLOTS_AT + unused * SLOT.size, SLOTS_AT + (unused + 1) * SLOT.size)
    for written in range(SLOT.size + 1):  # then comes the byte that says which
        torn = bytearray(before)
        torn[slot.start : slot.start + written] = after[slot.start : slot.start + written]
        os.pwrite(memory, torn, 0)
        with PinnedCheckpoint(memory) as kept:
            assert values(kept) == (1, 0, 0, 50, 0)
    os.pwrite(memory, after, 0)
    with PinnedCheckpoint(memory) as kept:
        assert values(kept) == (1, 0, 1, 51, 0)


def test_without_pins_it_is_this_processes_alone() -> None:
    with Checkpoint() as kept:
        kept.start(1, None)
        kept.delivered(2, 1)
        kept.reported_lost(1)
        assert values(kept) == (1, 0, 2, None, 1)
