# SPDX-License-Identifier: Apache-2.0
"""What a pipeline reads, without a kernel."""

from __future__ import annotations

from collections.abc import Iterator

from container_oomkill.probe.checkpoint import Checkpoint
from container_oomkill.system.shutdown import ShutdownRequest


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
