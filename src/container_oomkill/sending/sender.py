# SPDX-License-Identifier: Apache-2.0
"""What every sender is: a sink with a queue, and a thread of its own that sends what is in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from ..system import log
from ..system.backoff import Backoff
from ..system.closeable import Closeable
from ..system.worker import Worker
from .counts import Counts

if TYPE_CHECKING:
    from .client import HttpClient
    from .waiting import Queue

PATIENCE_SECONDS = 2.0  # for what is left at the end


class Sender(Closeable):
    """A sink and a context manager."""

    def __init__(
        self,
        name: str,
        queue: Queue,
        client: HttpClient,
        *,
        counts: Counts | None,
        backoff: Backoff | None,
        in_thread: Callable[[], None],
    ) -> None:
        """``in_thread`` is called at the start of the thread that sends."""
        self.counts = counts or Counts()
        self.queue = queue
        self.worker = Worker(name)
        self._name = name
        self._client = client
        self._backoff = backoff or Backoff()
        self._in_thread = in_thread

    def send_all(self) -> None:
        """Send what is in the queue, and what comes, until the worker is ending."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.worker.start(self._run, wake=lambda: self.queue.wake())
        return self

    def __call__(self, record: Any) -> None:
        """Take what its queue is for. Raises what a bug ended the thread with."""
        self.worker.check()
        self.queue.add(record)

    def close(self) -> None:
        """Wait a moment for what is left; what the history does not have then is lost."""
        if self.worker.ending:
            return
        if not self.worker.close(PATIENCE_SECONDS):
            self._client.abort()
        if left := self.queue.close():
            self.counts.dropped("closed", left)
            log.warn(f"{self._name}: dropped {left} records that were not sent yet")

    def _run(self) -> None:
        self._in_thread()
        try:
            self.send_all()
        finally:
            self._client.close()
