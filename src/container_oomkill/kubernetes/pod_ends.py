# SPDX-License-Identifier: Apache-2.0
"""What a container's kill by its runtime was for, by what the kubelet had said of it: its Events.

The watch says at once that a pod is being deleted, but that it was evicted only once its containers
have ended, and of a failed probe nothing. The kubelet says both in an Event before it has the
container stopped. So the record of such a kill waits for one request, made by a thread of its own.
"""

from __future__ import annotations

import os
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Self
from urllib.parse import quote

from ..identity.metadata import EVICTED, LIVENESS_FAILED, STARTUP_FAILED, STAYS
from ..killers.cause import BY_RUNTIME
from ..killers.model import Kill
from ..system import log
from ..system.backoff import Backoff
from ..system.closeable import Closeable
from ..system.worker import Worker
from .api import Api
from .errors import ApiError
from .objects import Event, EventList, decode, seconds_of

SIZE = 64  # kills that wait at a time; the next ones do not
PATIENCE_SECONDS = 5.0  # for an answer
PAGE = "100"  # Events of one pod
# What it says and the signal that it then has sent are moments apart, but by two clocks' seconds.
TOGETHER_SECONDS = 10.0
KILLING = "Killing"
PROBES = {"failed liveness probe": LIVENESS_FAILED, "failed startup probe": STARTUP_FAILED}
REMEDY = "bind a ClusterRole that allows list on events to the service account"


class PodEnds(Closeable):
    """A context manager; all but its thread's part is for one thread."""

    def __init__(
        self,
        api: Api,
        *,
        size: int = SIZE,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._size = size
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._not_before = 0.0  # of the next request
        self._log = log.Once("kubernetes")
        self._waiting: dict[str, Kill] = {}
        self._asked: queue.SimpleQueue[Kill | None] = queue.SimpleQueue()
        self._answers: deque[tuple[str, str | None]] = deque()
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._worker = Worker("kubernetes-ends")

    def __enter__(self) -> Self:
        self._worker.start(self._run, wake=self._wake, failed=self._tell)
        return self

    def close(self) -> None:
        """End the thread; its descriptor stays open as long as it may use it."""
        if self._worker.close() and self._event >= 0:
            os.close(self._event)
            self._event = -1

    def fileno(self) -> int:
        """Return what is readable when there are answers."""
        return self._event

    def ask(self, kill: Kill) -> bool:
        """Have it wait for an answer; False: there is nothing to ask, or too much waits."""
        self._worker.check()
        container = kill.container
        if kill.pod_end != STAYS or kill.killer.cause not in BY_RUNTIME:
            return False
        if container.namespace is None or container.pod_uid is None:
            return False
        if len(self._waiting) >= self._size:
            return False
        self._waiting[kill.id] = kill
        self._asked.put(kill)
        return True

    def answered(self) -> Iterator[Kill]:
        """Yield those with an answer, which may be that nothing more is known."""
        self._worker.check()
        try:
            os.eventfd_read(self._event)
        except BlockingIOError:
            return
        while self._answers:
            id_, end = self._answers.popleft()
            if (kill := self._waiting.pop(id_, None)) is not None:
                yield kill if end is None else replace(kill, pod_end=end)

    def left(self) -> Iterator[Kill]:
        """Yield those without an answer, which nobody waits for any more."""
        while self._waiting:
            yield self._waiting.pop(next(iter(self._waiting)))

    def _wake(self) -> None:
        self._asked.put(None)

    def _tell(self) -> None:
        os.eventfd_write(self._event, 1)

    def _run(self) -> None:
        while (kill := self._asked.get()) is not None and not self._worker.ending:
            self._answers.append((kill.id, self._end_of(kill)))
            self._tell()

    def _end_of(self, kill: Kill) -> str | None:
        if self._clock() < self._not_before:
            return None
        container = kill.container
        fields = {"fieldSelector": f"involvedObject.uid={container.pod_uid}", "limit": PAGE}
        path = f"/api/v1/namespaces/{quote(container.namespace or '', safe='')}/events"
        try:
            data = self._api.body(path, fields, PATIENCE_SECONDS)
            events = decode(data, EventList).items or ()
        except ApiError as error:
            self._not_before = self._clock() + self._backoff.next(error.retry_after)
            if not self._worker.ending:
                remedy = f": {REMEDY}" if error.code == 403 else ""
                self._log.warn(f"read a pod's Events: {error}{remedy}")
            return None
        self._backoff.reset()
        self._log.clear()
        stop = kill.stop
        began = kill.time - ((stop and stop.seconds_before) or 0.0)
        return end_told(events, container.name, began)


def end_told(events: Iterable[Event], container: str | None, began: float) -> str | None:
    """Return what the kubelet said of a stop that ``began`` then (seconds since the epoch)."""
    for event in events:
        at = seconds_of(event.last_timestamp or event.event_time)
        if at is None or abs(at - began) > TOGETHER_SECONDS:
            continue
        if event.reason == "Evicted":
            return EVICTED
        of = event.involved_object.field_path
        if event.reason == KILLING and container and of.endswith(f"{{{container}}}"):
            for words, end in PROBES.items():
                if words in event.message:
                    return end
    return None
