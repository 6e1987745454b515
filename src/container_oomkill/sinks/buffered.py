# SPDX-License-Identifier: Apache-2.0
"""Wraps a sink that may block or fail, such as the log, so that the other sinks do not.

If its reader or disk stalls, only this sink loses incidents: what does not fit the queue is dropped
and counted. If it fails for good, only this sink stops.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..system import log
from ..system.worker import Worker

PATIENCE_SECONDS = 2.0  # for what is left at the end

T = TypeVar("T")


def _sequence(incident: Any) -> int:
    number: int = incident.sequence
    return number


class BufferedSink(Generic[T]):
    """A sink with a thread of its own; ``on_lost`` is called for every incident dropped.

    ``at_end`` is called by that thread, when all is written.
    """

    def __init__(
        self,
        sink: Callable[[T], None],
        on_lost: Callable[[], None],
        *,
        name: str = "log",
        size: int,
        at_end: Callable[[], None] = lambda: None,
        number: Callable[[T], int] = _sequence,
    ) -> None:
        """``number``: what `oldest` says of a record."""
        self._sink = sink
        self._on_lost = on_lost
        self._name = name
        self._doing = "logging incidents" if name == "log" else f"writing the {name}"
        self._at_end = at_end
        self._number = number
        self._waiting: queue.Queue[T | None] = queue.Queue(size)
        self._numbers: deque[int] = deque()  # of those waiting and the one being written
        self._broken = False
        self._lock = threading.Lock()  # what is above changes together
        self._worker = Worker(name)
        self._worker.start(self._run, failed=self._break)

    def __call__(self, incident: T) -> None:
        """Take an incident, or count it as lost. Raises what a bug ended the thread with."""
        self._worker.check()
        if not self._taken(incident):
            self._on_lost()

    def _taken(self, incident: T) -> bool:
        with self._lock:
            if self._broken:
                return False
            try:
                self._waiting.put_nowait(incident)
            except queue.Full:
                return False
            self._numbers.append(self._number(incident))
            return True

    def oldest(self) -> int | None:
        """Return the number of the oldest incident that is not written yet; None: all are."""
        try:
            return self._numbers[0]
        except IndexError:
            return None

    @property
    def broken(self) -> bool:
        """Whether it failed, and takes no more."""
        return self._broken

    def depth(self) -> int:
        """Return how many incidents wait to be written."""
        return len(self._numbers)

    def close(self) -> None:
        """Wait a moment for what is left to be written; say what is not by then."""
        try:
            if not self._broken:  # else nobody would take it
                self._waiting.put(None, timeout=PATIENCE_SECONDS)
        except queue.Full:
            pass
        else:
            self._worker.close(PATIENCE_SECONDS)
        if left := self.depth():
            log.warn(f"dropped {left} incidents that the {self._name} had not written yet")

    def _run(self) -> None:
        try:
            while (incident := self._waiting.get()) is not None:
                self._sink(incident)
                with self._lock:
                    self._numbers.popleft()
            self._at_end()
        except OSError as error:
            left = self._break()
            words = (error.strerror or str(error)).lower()
            log.warn(f"stopped {self._doing}: {words}")
            for _ in range(left):
                self._on_lost()

    def _break(self) -> int:
        """Hold nothing back any more; return how many were not written."""
        with self._lock:
            self._broken = True
            left = len(self._numbers)
            self._numbers.clear()
        return left
