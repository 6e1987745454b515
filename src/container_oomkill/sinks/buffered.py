# SPDX-License-Identifier: Apache-2.0
"""Wraps a sink that may block or fail, such as the log, so that the other sinks do not.

If its reader or disk stalls, only this sink loses incidents: what does not fit the queue is dropped
and counted, of whoever has most in it. If it fails for good, only this sink stops.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from ..system import log
from ..system.worker import Worker
from .fair_queue import FairQueue

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
        whose: Callable[[T], Hashable] = lambda _: None,
    ) -> None:
        """``number``: what `oldest` says of a record; ``whose``: who can have any number of it."""
        self._sink = sink
        self._on_lost = on_lost
        self._name = name
        self._doing = "logging incidents" if name == "log" else f"writing the {name}"
        self._at_end = at_end
        self._number = number
        self._waiting: FairQueue[T] = FairQueue(size, whose)
        self._writing: T | None = None
        self._broken = self._ending = False
        self._changed = threading.Condition()  # what is above changes together
        self._worker = Worker(name)
        self._worker.start(self._run, failed=self._break)

    def __call__(self, incident: T) -> None:
        """Take an incident, or count it as lost. Raises what a bug ended the thread with."""
        self._worker.check()
        if not self._taken(incident):
            self._on_lost()

    def _taken(self, incident: T) -> bool:
        """Return False if it, or another, had to go."""
        with self._changed:
            if self._broken:
                return False
            self._changed.notify()
            return self._waiting.put(incident) is None

    def oldest(self) -> int | None:
        """Return the number of the oldest incident that is not written yet; None: all are."""
        with self._changed:
            first = self._waiting.first() if self._writing is None else self._writing
        return None if first is None else self._number(first)

    @property
    def broken(self) -> bool:
        """Whether it failed, and takes no more."""
        return self._broken

    def depth(self) -> int:
        """Return how many incidents wait to be written."""
        return len(self._waiting) + (self._writing is not None)

    def close(self) -> None:
        """Wait a moment for what is left to be written; say what is not by then."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._worker.close(PATIENCE_SECONDS)
        if left := self.depth():
            log.warn(f"dropped {left} incidents that the {self._name} had not written yet")

    def _next(self) -> T | None:
        """Wait for one to write; None: there will be no more."""
        with self._changed:
            self._writing = None
            while not self._waiting and not self._ending:
                self._changed.wait()
            self._writing = self._waiting.pop() if self._waiting else None
            return self._writing

    def _run(self) -> None:
        try:
            while (incident := self._next()) is not None:
                self._sink(incident)
            self._at_end()
        except OSError as error:
            left = self._break()
            words = (error.strerror or str(error)).lower()
            log.warn(f"stopped {self._doing}: {words}")
            for _ in range(left):
                self._on_lost()

    def _break(self) -> int:
        """Hold nothing back any more; return how many were not written."""
        with self._changed:
            self._broken = True
            left = self.depth()
            self._writing = None
            self._waiting.clear()
        return left
