# SPDX-License-Identifier: Apache-2.0
"""From the ring of older hooks to that of newer ones: what both have, and what only seems so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from container_oomkill.incident.model import NS
from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.checkpoint import Checkpoint
from container_oomkill.probe.probe import Probe
from container_oomkill.system.shutdown import ShutdownRequest

from ..support import records

DAY = 24 * 3600 * NS


class Hooks:
    """Stands for hooks and their ring, with all that they will ever record."""

    discarded = 0
    size = 1 << 20

    def __init__(self, number: int, *recorded: bytes) -> None:
        self.number = number
        self.older: list[Hooks] = []
        self.checkpoint = Checkpoint()
        self.ring = self
        self.stop = ShutdownRequest()
        self.removed = False
        self._recorded = recorded
        self._next = self._start = 0

    def read(self) -> Iterator[tuple[bytes, int]]:
        while self._next < len(self._recorded):
            self._next += 1
            yield self._recorded[self._next - 1], self._next

    def release(self, position: int) -> None:
        self._start = position

    def rewind(self) -> None:
        self._next = self._start

    def wait(self, seconds: float | None) -> None:
        assert seconds is None or seconds >= 0
        self.stop.set()

    def watch(self, fd: int, *, readable: bool) -> None: ...

    def attached_at(self) -> float:
        return 0  # long ago: the overlap is over

    def counters(self) -> dict[str, int]:
        return {"lost_ring_full": 0}

    def kept(self) -> int:
        return 0

    def detach(self) -> None: ...

    def remove(self) -> None:
        self.removed = True


def kill(number: int, pid: int, boot_ns: int) -> bytes:
    head = {"sequence": number, "incident": number, "boot_ns": boot_ns}
    return records.victim(head=head, process__pid=pid, process__tid=pid)


def told(older: Hooks, newer: Hooks) -> list[tuple[int, int | None]]:
    """Number and victim of all that is delivered on the way."""
    shown: list[tuple[int, int | None]] = []
    newer.older = [older]
    pipeline = Pipeline(
        cast("Probe", newer), [lambda each: shown.append((each.sequence, each.victims[0].pid))]
    )
    pipeline.run(newer.stop)
    assert older.removed
    return shown


def test_what_both_have_is_told_once() -> None:
    older = Hooks(1, kill(1, 11, DAY), kill(2, 12, 2 * DAY), kill(3, 13, 2 * DAY + NS))
    newer = Hooks(2, kill(1, 12, 2 * DAY + 9), kill(2, 13, 2 * DAY + NS + 9), kill(3, 14, 3 * DAY))
    assert told(older, newer) == [(1, 11), (2, 12), (3, 13), (4, 14)]


def test_a_pid_that_came_again_is_another_kill() -> None:
    """The older ring had it for a day; the newer one's is of right now."""
    older = Hooks(1, kill(1, 11, DAY))
    newer = Hooks(2, kill(1, 11, 2 * DAY))
    assert told(older, newer) == [(1, 11), (2, 11)]
