# SPDX-License-Identifier: Apache-2.0
"""Serves all clients from one thread, given listeners and a function from request to response.

Everything is bounded: connections, concurrent heavy responses, streams, pending jobs, and time.
Where there is no room, whoever comes from where most come from makes way: a connection idle
longest, a heavy response that its client is slow to read, a stream. A request for a heavy
response waits for a while before it gets 503. A page that is the same for all is made once for all
who wait for it.
"""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...system import log
from ...system.worker import Worker
from .connection import PARKED, Connection
from .fair import of_busiest, of_least_busy, peer_of
from .listen import Listener
from .pages import Pages
from .request import HttpError, Request
from .response import Headers, Response, Shared, of_error, text
from .stream import Gone, Stream

if TYPE_CHECKING:
    from .web_config import WebConfig

Answer = Response | Shared
Job = Callable[[], Answer]

ACCEPTS_A_TURN = 16  # so that connected clients are served while thousands connect
NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE_SECONDS = 0.5  # of accepting, when the system has no room
PREEMPT_SECONDS = 1.0  # a heavy answer whose client was waited for this long yields to another
WAIT_SECONDS = 5.0  # for another's heavy answer to end, before the answer is 503
TICK_SECONDS = 0.05
FAILED = "request failed"
FAILURE = text(500, "internal error")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many of each there may be at once."""

    connections: int = 128
    heavy: int = 8
    streams: int = 16
    jobs: int = 16


class Server:
    """``respond`` gives a response, or a job that gives it: jobs may block, in their own thread."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        respond: Callable[[Request], Answer | Job],
        *,
        config: WebConfig | None = None,
        limits: Limits | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """``before``: called at the start of each of its threads."""
        self.listeners = listeners
        self.worker = Worker("web")
        self._respond = respond
        self._before = before
        self._config = config
        self._limits = limits or Limits()
        self._clients: dict[int, Connection] = {}  # the one idle longest comes first
        self._streams: dict[Connection, None] = {}  # oldest first
        self._pages = Pages()
        self._waiting: dict[Connection, tuple[Response, float]] = {}  # for room, since when
        self._notified = False
        self._jobs: queue.SimpleQueue[tuple[Connection, Job] | None] = queue.SimpleQueue()
        self._jobs_open = 0
        self._done: deque[tuple[Connection, Answer]] = deque()
        self._jobs_worker = Worker("web-jobs")
        self._accept_from = 0.0  # monotonic; later than now while accepting pauses
        self._closed = False
        self._selected_at = time.monotonic()  # when the last turn began
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._listen()

    def start(self) -> None:
        self.worker.start(self._run, wake=self._wake_up)

    def notify_streams(self) -> None:
        """Let every stream go on: something has changed. From any thread, at no cost to it."""
        if self._streams and not self._notified:
            self._notified = True
            self._wake_up()

    def close(self) -> None:
        """Stop serving, close every socket; may be called again."""
        if self._closed:
            return
        self._closed = True
        if self.worker.started:
            self.worker.close(None)
        else:
            self._close_all()
        # Here, not in the thread: it may be over before it is woken.
        os.close(self._wake)

    def _wake_up(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        try:
            self._before()
            while not self.worker.ending:
                self._turn()
        finally:
            self._close_all()

    def _turn(self) -> None:
        ready = self._selector.select(self._timeout())
        self._count_blocked({key.fd for key, _ in ready}, time.monotonic())
        for key, _ in ready:
            if isinstance(key.data, Connection):
                if not key.data.closed:  # by an event before this one
                    self._step(key.data)
            elif isinstance(key.data, Listener):
                self._accept(key.data)
            else:
                os.eventfd_read(self._wake)
        self._jobs_worker.check()
        while self._done:
            client, response = self._done.popleft()
            self._jobs_open -= 1
            self._give(client, response)
        for client, wanted, page in self._pages.made(lambda error: _report(FAILED, error)):
            self._give(client, FAILURE if page is None else wanted.response(page))
        now = time.monotonic()
        self._serve_waiting(now)
        if self._notified:
            self._notified = False  # before they look: later incidents notify again
            for client in list(self._streams):
                self._resume(client, now)
        for client in [c for c in self._clients.values() if c.due() <= now]:
            if not self._resume(client, now):
                self._drop(client)
        if self._accept_from and now >= self._accept_from:
            self._accept_from = 0.0
            self._listen()

    def _count_blocked(self, ready: set[int], now: float) -> None:
        """Count how long clients have not read: what takes no more now took nothing all the turn.

        However long the turn was, on a machine that is busy: who reads is ready after it.
        """
        for fd, client in self._clients.items():
            if client.heavy and fd not in ready:
                client.blocked += now - max(self._selected_at, client.moved)
        self._selected_at = now

    def _timeout(self) -> float | None:
        due = [client.due() for client in self._clients.values()]
        if self._accept_from:
            due.append(self._accept_from)
        if (page := self._pages.due()) is not None:
            due.append(page)
        if self._waiting:
            return TICK_SECONDS
        return max(TICK_SECONDS, min(due) - time.monotonic()) if due else None

    def _listen(self) -> None:
        for listener in self.listeners:
            self._selector.register(listener.socket, selectors.EVENT_READ, listener)

    def _accept(self, listener: Listener) -> None:
        if self._accept_from:  # another listener found no room, in this very turn
            return
        for _ in range(ACCEPTS_A_TURN):
            try:
                plain, _ = listener.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in NO_ROOM:
                    continue  # that client is gone again
                if self._clients:
                    self._drop(next(iter(self._clients.values())))
                    continue
                self._accept_from = time.monotonic() + PAUSE_SECONDS
                for each in self.listeners:
                    self._selector.unregister(each.socket)
                return
            if len(self._clients) >= self._limits.connections:
                self._drop(of_busiest(list(self._clients.values())))
            try:
                stream = self._stream(plain)
            except (OSError, ValueError):
                plain.close()
                continue
            client = Connection(
                stream, self._dispatch, self._headers, time.monotonic(), peer_of(plain)
            )
            self._clients[stream.socket.fileno()] = client
            self._step(client)

    def _stream(self, plain: socket.socket) -> Stream:
        if plain.family != socket.AF_UNIX:
            # Pieces are sent as they are made: Nagle would wait for an answer after each.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Stream(plain) if self._config is None else self._config.wrap(plain)

    def _headers(self) -> Headers:
        return () if self._config is None else self._config.headers

    def _step(self, client: Connection) -> None:
        moved = client.moved
        try:
            waits_for = client.step(time.monotonic())
        except Gone:
            self._drop(client)
            return
        except Exception as error:  # noqa: BLE001 - one answer fails, the others go on
            _report("response aborted", error)
            self._drop(client)
            return
        fd = client.stream.socket.fileno()
        if waits_for != client.waits_for:
            if client.waits_for == PARKED:
                self._selector.register(fd, waits_for, client)
            elif waits_for == PARKED:
                self._selector.unregister(fd)
            else:
                self._selector.modify(fd, waits_for, client)
            client.waits_for = waits_for
        if client.moved != moved:
            self._clients[fd] = self._clients.pop(fd)

    def _resume(self, client: Connection, now: float) -> bool:
        resumed = client.resume(now)
        if resumed:
            self._step(client)
        return resumed

    def _drop(self, client: Connection) -> None:
        fd = client.stream.socket.fileno()
        if client.waits_for != PARKED:
            self._selector.unregister(fd)
        del self._clients[fd]
        self._streams.pop(client, None)
        self._waiting.pop(client, None)
        client.close()

    def _dispatch(self, client: Connection, request: Request) -> Response | None:
        try:
            if self._config is not None:
                self._config.refresh()
            response = self._respond(request)
        except HttpError as error:
            return of_error(error)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end the recording
            _report(FAILED, error)
            return FAILURE
        if isinstance(response, Response | Shared):
            return self._admit(client, response)
        if self._jobs_open >= self._limits.jobs:
            return text(503, "too many concurrent requests", [("Retry-After", "1")])
        if not self._jobs_worker.started:
            self._jobs_worker.start(
                self._work, wake=lambda: self._jobs.put(None), failed=self._wake_up
            )
        self._jobs_open += 1
        self._jobs.put((client, response))
        return None

    def _give(self, client: Connection, response: Answer) -> None:
        """Answer a request that was put off."""
        if client.closed:
            return
        admitted = self._admit(client, response)
        if admitted is not None:
            client.answer(admitted, time.monotonic())
            self._step(client)

    def _admit(self, client: Connection, response: Answer) -> Response | None:
        """Give it, or None if it has to be made or to wait for room, or 503 for want of streams."""
        if isinstance(response, Shared):
            self._pages.ask(client, response)
            return None
        if response.stream and not self._begin_stream(client):
            return text(503, "too many open streams", [("Retry-After", "30")])
        if response.heavy and not self._has_room(response.shared):
            self._waiting[client] = response, time.monotonic()
            return None
        return response

    def _begin_stream(self, client: Connection) -> bool:
        if len(self._streams) >= self._limits.streams:
            busiest = of_busiest([*self._streams, client])
            if busiest.peer == client.peer:
                return False
            self._drop(busiest)
        self._streams[client] = None
        return True

    def _heavy(self, shared: bool) -> list[Connection]:
        heavy = (client for client in self._clients.values() if client.heavy)
        return [client for client in heavy if client.heavy and client.heavy.shared == shared]

    def _has_room(self, shared: bool) -> bool:
        """Whether one more heavy answer may begin; if need be, one that is not read ends."""
        heavy = self._heavy(shared)
        if len(heavy) < self._limits.heavy:
            return True
        slow = [client for client in heavy if client.blocked > PREEMPT_SECONDS]
        if slow:
            self._drop(of_busiest(slow))
        return bool(slow)

    def _serve_waiting(self, now: float) -> None:
        """Serve those for whom there is room by now, and those who have waited long enough."""
        for shared in (True, False):
            waiting = [one for one, (each, _) in self._waiting.items() if each.shared == shared]
            while waiting and self._has_room(shared):
                client = of_least_busy(waiting, self._heavy(shared))
                waiting.remove(client)
                self._end_wait(client, self._waiting[client][0], now)
        for client, (_, since) in list(self._waiting.items()):
            if now - since >= WAIT_SECONDS:
                refusal = text(503, "too many concurrent scrapes", [("Retry-After", "1")])
                self._end_wait(client, refusal, now)

    def _end_wait(self, client: Connection, response: Response, now: float) -> None:
        del self._waiting[client]
        client.answer(response, now)
        self._step(client)

    def _work(self) -> None:
        self._before()
        while (task := self._jobs.get()) is not None:
            client, job = task
            try:
                response = job()
            except HttpError as error:
                response = of_error(error)
            except Exception as error:  # noqa: BLE001 - as in _dispatch
                _report(FAILED, error)
                response = FAILURE
            self._done.append((client, response))
            self._wake_up()

    def _close_all(self) -> None:
        for client in list(self._clients.values()):
            self._drop(client)
        for listener in self.listeners:
            listener.close()
        self._jobs_worker.close(None)
        self._selector.close()


def _report(what: str, error: Exception) -> None:
    log.error(f"{what}: {type(error).__name__}: {error}")
