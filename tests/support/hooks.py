# SPDX-License-Identifier: Apache-2.0
"""Hooks and their ring without a kernel: the records they will deliver are given as bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from container_oomkill.probe.checkpoint import Checkpoint
from container_oomkill.probe.kernel_functions import KernelFunctions
from container_oomkill.system.shutdown import ShutdownRequest

from . import records
from .incidents import FakeProbe
from .kills import Signals
from .stuck import Records


class Hooks(FakeProbe):
    """Stands for a `Probe` or a `Generation`; `wait`, once all is read, ends the pipeline."""

    discarded = 0
    resumed = False
    size = 1 << 20
    kills_before: int | None = None
    killers: Signals | None = None  # who else kills is not recorded
    recorder: Records | None = None  # nor is what memory did, and what is stuck

    def __init__(
        self, number: int, *recorded: bytes, on_wait: Callable[[], None] | None = None
    ) -> None:
        """``on_wait``: called instead, each time that nothing is left to read."""
        super().__init__()
        self.number = number
        self.older: list[Hooks] = []
        self.checkpoint = Checkpoint()
        self.ring = self
        self.stop = ShutdownRequest()
        self.removed = False
        self.entered: list[tuple[str, int, int, int]] = []
        self._on_wait = on_wait or self.stop.set
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
        self._on_wait()

    def watch(self, fd: int, *, readable: bool) -> None: ...

    def killers_status(self) -> Mapping[str, int] | None:
        return None if self.killers is None else self.killers.counters()

    def recorder_status(self) -> Mapping[str, int] | None:
        return None if self.recorder is None else self.recorded

    def attached_at(self) -> float:
        return 0  # long ago: the overlap is over

    def kept(self) -> int:
        return 0

    def enter_earlier_counts(self, counted: Iterable[tuple[str, int, int, int]]) -> None:
        self.entered += counted

    def kernel_functions(self) -> KernelFunctions:
        return KernelFunctions(os.devnull)

    def detach(self) -> None: ...

    def remove(self) -> None:
        self.removed = True


def kill(number: int, pid: int, boot_ns: int, cgroup: str | None = None) -> bytes:
    """One victim, and the whole incident; ``cgroup``: the victim's path."""
    head = {"sequence": number, "incident": number, "boot_ns": boot_ns}
    paths = None
    if cgroup is not None:
        leaf_first = reversed(cgroup.strip("/").split("/"))
        paths = {"victim_memcg": b"".join(name.encode() + b"\0" for name in leaf_first)}
    return records.victim(head=head, paths=paths, process__pid=pid, process__tid=pid)
