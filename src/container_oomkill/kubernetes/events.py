# SPDX-License-Identifier: Apache-2.0
"""A sink that writes Events on the victims' pods and, where that ran out, on the node.

Nothing here delays a record, and no record stays in the ring for it: an API may be down for hours,
and Events only repeat what metrics and log have. What is pending for one container, or the node, is
one entry, however often there is a kill meanwhile. The entries are bounded, and a token bucket
limits the load on the API. An Event's name is made of the node's boot id and the kernel's clock, so
that none is created twice.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

from ..incident.model import Incident
from ..system import log
from ..system.backoff import Backoff
from ..system.closeable import Closeable
from ..system.worker import Worker
from .api import Api
from .errors import ApiError
from .event_objects import About, event_message, find_abouts, spec_field

COMPONENT = "container-oomkill"
REASON = "OOMKilling"
SIZE = 256  # containers, and the node, waiting, and as many whose Event is known
NAME_MAX = 253
BURST, REFILL_SECONDS = 25, 10.0  # Events at once, then one each
GIVE_UP_SECONDS = 3600.0  # the API forgets Events after an hour, too
PATIENCE_SECONDS = 2.0  # for what is left at the end
REFUSED = (400, 404, 413, 422)  # for good: nothing in it will change
REMEDY = "bind a ClusterRole that allows create and patch on events to the service account"


@dataclass
class Waiting:
    """Kills of one container, or of the node, that have no Event yet."""

    name: str  # of the Event of the first one
    since: float  # monotonic
    first: float
    last: float
    message: str
    workload: str | None
    field: str  # of the pod's spec: which of its lists the container is in
    count: int = 1


@dataclass
class Written:
    """An Event that exists."""

    name: str
    count: int
    at: float  # monotonic


class Events(Closeable):
    """A sink with a thread of its own; a context manager. ``on_lost`` gets a number of kills."""

    def __init__(
        self,
        api: Api,
        node: str,
        boot_id: str,
        on_lost: Callable[[int], None] = lambda _: None,
        *,
        external_url: str | None = None,
        backoff: Backoff | None = None,
        size: int = SIZE,
        burst: int = BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._node = node
        self._boot = boot_id.partition("-")[0]
        self._on_lost = on_lost
        self._external_url = external_url
        self._backoff = backoff or Backoff()
        self.size = size
        self._log = log.Once("kubernetes")
        self._clock = clock
        self._burst = burst
        self._tokens, self._refilled = float(burst), clock()
        self._changed = threading.Condition()
        self._waiting: OrderedDict[About, Waiting] = OrderedDict()
        self._written: OrderedDict[About, Written] = OrderedDict()  # the thread's
        self.worker = Worker("events")

    def __enter__(self) -> Self:
        self.worker.start(self._write, wake=self._wake)
        return self

    def __call__(self, incident: Incident) -> None:
        """Take an incident; one of no pod, nor of the node's memory, has no Event.

        Raises what a bug ended the thread with.
        """
        self.worker.check()
        url = self._external_url
        link = f" {url.rstrip('/')}/incidents/{incident.id}" if url else ""
        for about, words in find_abouts(incident, self._node):
            self._take(about, incident, event_message(words, link))

    def _take(self, about: About, incident: Incident, message: str) -> None:
        with self._changed:
            if (waiting := self._waiting.get(about)) is not None:
                waiting.count += 1
                waiting.last, waiting.message = incident.time, message
            elif len(self._waiting) >= self.size:
                self._on_lost(1)
                return
            else:
                event = f"{about.name}.{self._boot}-{incident.boot_ns:x}"
                self._waiting[about] = Waiting(
                    event[-NAME_MAX:].lstrip("-."),
                    self._clock(),
                    incident.time,
                    incident.time,
                    message,
                    incident.container.workload,
                    spec_field(incident.container),
                )
            self._changed.notify()

    def depth(self) -> int:
        """Return how many containers, the node among them, have kills without an Event."""
        return len(self._waiting)

    def close(self) -> None:
        """Wait a moment for pending Events to be written; count the rest as lost."""
        if self.worker.ending:
            return
        self.worker.close(PATIENCE_SECONDS)
        with self._changed:
            left = sum(each.count for each in self._waiting.values())
        if left:
            self._on_lost(left)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _write(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self.worker.ending:
                    self._changed.wait()
                if not self._waiting:
                    return
                pause = self._until_token()
                if pause > 0:
                    if self.worker.ending:
                        return
                    self._changed.wait(pause)
                    continue
                about, waiting = next(iter(self._waiting.items()))
                count, message, last = waiting.count, waiting.message, waiting.last
            self._tokens -= 1
            try:
                self._tell(about, waiting, count, message, last)
            except ApiError as error:
                self._failed(about, waiting, count, error)
                if self.worker.ending:
                    return
            else:
                self._log.clear()
                self._backoff.reset()
                self._done(about, waiting, count)

    def _until_token(self) -> float:
        """Return how long to wait for the right to one more request."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._refilled) / REFILL_SECONDS)
        self._refilled = now
        return (1 - self._tokens) * REFILL_SECONDS

    def _tell(self, about: About, waiting: Waiting, count: int, message: str, last: float) -> None:
        """Raise the count of the Event there is, or make one."""
        written = self._written.get(about)
        # A namespace may be a state file's word.
        path = f"/api/v1/namespaces/{quote(about.namespace, safe='')}/events"
        if written is not None and self._clock() - written.at < GIVE_UP_SECONDS:
            total = written.count + count
            change = {"count": total, "lastTimestamp": _rfc3339(last), "message": message}
            try:
                self._api.patch(f"{path}/{written.name}", change)
            except ApiError as error:
                if error.code != 404:
                    raise
            else:
                written.count, written.at = total, self._clock()
                return
        try:
            self._api.post(path, self._event(about, waiting, count, message, last))
        except ApiError as error:
            if error.code != 409:
                raise
            # Made by a request whose answer was lost, or before a restart.
            if count > 1:
                change = {"count": count, "lastTimestamp": _rfc3339(last), "message": message}
                self._api.patch(f"{path}/{waiting.name}", change)
        self._written[about] = Written(waiting.name, count, self._clock())
        self._written.move_to_end(about)
        if len(self._written) > self.size:
            self._written.popitem(last=False)

    def _event(
        self, about: About, waiting: Waiting, count: int, message: str, last: float
    ) -> dict[str, Any]:
        event: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": waiting.name, "namespace": about.namespace},
            "involvedObject": about.reference(waiting.field),
            "type": "Warning",
            "reason": REASON,
            "message": message,
            "count": count,
            "firstTimestamp": _rfc3339(waiting.first),
            "lastTimestamp": _rfc3339(last),
            "source": {"component": COMPONENT, "host": self._node},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._node,
        }
        kind, _, name = (waiting.workload or "").partition("/")
        if about.kind == "Pod" and name and kind != "Pod":
            event["related"] = {"kind": kind, "name": name}
            if kind != "Node":
                event["related"]["namespace"] = about.namespace
        return event

    def _done(self, about: About, waiting: Waiting, count: int) -> None:
        with self._changed:
            waiting.count -= count
            if not waiting.count:
                del self._waiting[about]

    def _failed(self, about: About, waiting: Waiting, count: int, error: ApiError) -> None:
        """Retry later, after the others; drop what the API rejects for good."""
        words = f"write Event on {about}: {error}"
        if error.code == 403:
            words += f": {REMEDY}"
        self._log.warn(words)
        final = error.code in REFUSED or "NamespaceTerminating" in error.causes
        if final or self._clock() - waiting.since > GIVE_UP_SECONDS:
            self._on_lost(count)
            self._done(about, waiting, count)
            return
        wait = self._backoff.next(error.retry_after)
        until = self._clock() + wait
        with self._changed:
            self._waiting.move_to_end(about)
            while not self.worker.ending and (left := until - self._clock()) > 0:
                self._changed.wait(left)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
