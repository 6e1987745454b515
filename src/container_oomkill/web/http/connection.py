# SPDX-License-Identifier: Apache-2.0
"""One client's connection: answers its requests one after another and never blocks.

Each state is a method that does what can be done now and returns what to wait for. A response is
made piece by piece, each only when the kernel has taken the one before: a slow reader occupies one
piece. A stream waits between two pieces until `resume`.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator
from typing import NoReturn

from .request import HttpError, Request, head_end, parse
from .response import Headers, Response, encode, of_error
from .stream import Gone, Stream, WantRead, WantWrite

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE
PARKED = 0

HEAD_SECONDS = 10.0  # for the handshake, and for a request's head from its first byte
IDLE_SECONDS = 120.0  # between two requests: longer than a scrape interval
ANSWER_SECONDS = 60.0  # for a whole answer
STALL_SECONDS = 10.0  # of an answer without a byte taken
HEARTBEAT_SECONDS = 15.0  # between two pieces of a stream at most: it shows that both ends live
LINGER_SECONDS = 2.0  # to let the client read the last answer before the connection goes
LINGER_BYTES = 1 << 16
READ_BYTES = 4096


class Connection:
    """``dispatch`` gives the answer, or None: it comes later, through `answer`.

    ``headers``: what every answer has from now on, whatever it brings itself.
    """

    def __init__(
        self,
        stream: Stream,
        dispatch: Callable[[Connection, Request], Response | None],
        headers: Callable[[], Headers],
        now: float,
        peer: bytes = b"",
    ) -> None:
        """``peer``: what it has in common with other connections of the same client."""
        self.stream = stream
        self.peer = peer
        self.waits_for = PARKED
        self.heavy: Response | None = None  # the answer, if it is of a kind limited in number
        self.closed = False
        self.moved = now  # when a byte last went either way
        self.blocked = 0.0  # seconds that this answer has waited for the client to read
        self._dispatch = dispatch
        self._headers = headers
        self._now = now
        self._deadline = now + HEAD_SECONDS
        self._received = bytearray()
        self._reading = False  # a request of which something has come
        self._pieces: Iterator[bytes | None] = iter(())
        self._left = memoryview(b"")
        self._keep_alive = False
        self._drained = 0
        self._request: Request | None = None  # that waits for its answer
        self._state: Callable[[], int] = self._handshake

    def step(self, now: float) -> int:
        """Go on as far as possible; return READ, WRITE or PARKED. Raises `Gone` at the end."""
        self._now = now
        try:
            return self._state()
        except WantRead:
            return READ
        except WantWrite:
            return WRITE

    def answer(self, response: Response, now: float) -> None:
        """Give the answer that was put off; `step` then sends it."""
        self._now = now
        self._send(self._request, response)
        self._request = None

    def resume(self, now: float) -> bool:
        """Let a stream that waits go on with its next piece; False: nothing waits here."""
        if self._state != self._wait:
            return False
        self._deadline = now + ANSWER_SECONDS
        self.moved = now
        self._state = self._write
        return True

    def due(self) -> float:
        """When it is to go on (a stream that waits) or be closed if nothing happens before."""
        if self._state == self._write:
            return min(self._deadline, self.moved + STALL_SECONDS)
        return self._deadline

    def close(self) -> None:
        self.closed = True
        self.stream.close()

    def _handshake(self) -> int:
        self.stream.handshake()
        self._state = self._read_head
        return self._read_head()

    def _read_head(self) -> int:
        while True:
            if self._received:
                try:
                    end = head_end(self._received)
                except HttpError as error:
                    return self._send(None, of_error(error))
                if end:
                    head = bytes(self._received[:end])
                    del self._received[:end]
                    return self._take(head)
            data = self.stream.read(READ_BYTES)
            if not data:
                raise Gone
            self._begin_head()
            self._received += data
            self.moved = self._now

    def _begin_head(self) -> None:
        """Have it end in time from its first byte on, even if that came with the one before."""
        if not self._reading:
            self._reading = True
            self._deadline = self._now + HEAD_SECONDS

    def _take(self, head: bytes) -> int:
        self._reading = False
        try:
            request = parse(head)
        except HttpError as error:
            return self._send(None, of_error(error))
        response = self._dispatch(self, request)
        if response is None:
            self._request = request
            self._deadline = self._now + ANSWER_SECONDS
            self._state = self._parked
            return PARKED
        return self._send(request, response)

    def _parked(self) -> int:
        return PARKED

    def _send(self, request: Request | None, response: Response) -> int:
        whole = isinstance(response.body, bytes)
        self._keep_alive = request is not None and request.keep_alive and (whole or request.chunks)
        self._pieces = encode(
            response, request, keep_alive=self._keep_alive, headers=self._headers()
        )
        self.heavy = response if response.heavy else None
        self._deadline = self._now + ANSWER_SECONDS
        self.moved = self._now
        self.blocked = 0.0
        self._state = self._write
        return WRITE

    def _write(self) -> int:
        if not self._left:
            try:
                piece = next(self._pieces)
            except StopIteration:
                return self._finish()
            if piece is None:
                self._deadline = self._now + HEARTBEAT_SECONDS
                self._state = self._wait
                return self._wait()
            self._left = memoryview(piece)
        taken = self.stream.write(self._left)
        self._left = self._left[taken:]
        self.moved = self._now
        return WRITE

    def _wait(self) -> int:
        """Nothing to send for now; what the client sends meanwhile is not for us."""
        return self._drain()

    def _finish(self) -> int:
        self.heavy = None
        self._pieces = iter(())
        self._left = memoryview(b"")
        if self._keep_alive:
            self._deadline = self._now + IDLE_SECONDS
            if self._received:
                self._begin_head()
            self._state = self._read_head
            return self._read_head()
        # Closing with unread input would reset the connection and take our answer with it.
        self.stream.end()
        self._deadline = self._now + LINGER_SECONDS
        self._state = self._drain
        return READ

    def _drain(self) -> NoReturn:
        """Read to the end, or more than a client has reason to send."""
        while self._drained < LINGER_BYTES:
            data = self.stream.read(READ_BYTES)
            if not data:
                break
            self._drained += len(data)
        raise Gone
