# SPDX-License-Identifier: Apache-2.0
"""One POST at a time over a connection that is kept; bounded in size and time.

Every failure is a `SendError`. A server that answers a byte every few seconds is given up when the
time of the whole request is over: a timer closes the connection under it.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from ..errors import UsageError
from ..system.closeable import Closeable
from ..system.network import words_of
from ..system.worker import Worker
from .tls import TlsFiles

ANSWER_MAX = 64 << 10
SECONDS = 10.0
UNSENDABLE = frozenset(map(chr, (*range(33), 127)))


class SendError(Exception):
    """There was no answer; the text is one line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers``: by their names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def parsed_url(url: str) -> SplitResult:
    """Return the parts of an http or https URL. Raises `UsageError`, without the option's name.

    The URL is not repeated: a webhook's is a secret.
    """
    try:
        where = urlsplit(url)
        port = where.port
    except ValueError as error:
        raise UsageError(f"not a URL: {error}") from None
    if where.scheme not in ("http", "https") or not where.hostname or port == 0:
        raise UsageError("expected http://HOST[:PORT][/PATH] or https://")
    if where.username is not None or where.password is not None:
        raise UsageError("user and password in a URL are not supported: send a header from a file")
    if where.fragment or not url.isascii() or UNSENDABLE & set(url):
        raise UsageError("expected printable ASCII without blanks or #")
    return where


class _Response(http.client.HTTPResponse):
    """Refuses a head that is cut off: http.client takes it for a whole one, with its status."""

    def begin(self) -> None:
        whole = self.fp
        lines = _Lines(whole)
        self.fp = lines  # type: ignore[assignment] # of which begin() reads lines, and no more
        super().begin()
        self.fp = whole
        if not lines.last:
            raise http.client.HTTPException("hung up within the answer's head")


class _Lines(io.BufferedIOBase):
    """Remembers the last line that was read."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self.last = b""

    def readline(self, limit: int | None = -1, /) -> bytes:
        self.last = self._file.readline(limit)
        return self.last


class HttpClient(Closeable):
    """For one thread; `abort` from any."""

    def __init__(
        self,
        where: SplitResult,
        *,
        agent: str,
        tls: TlsFiles | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """``seconds``: for a whole request. Raises `UsageError` for an unusable file of ``tls``."""
        self._where = where
        self._agent = agent
        self._seconds = seconds
        self._target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        self._tls = (tls or TlsFiles()) if where.scheme == "https" else None
        self._stamp = self._tls.stamp() if self._tls else None
        self._context = self._tls.context() if self._tls else None
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send it and return the answer, whatever it is. Raises `SendError` where there is none."""
        try:
            connection = self._connected()
        except UsageError as error:  # a certificate that was replaced by nonsense
            raise SendError(str(error)) from None
        deadline = _Deadline(self._seconds, connection)
        try:
            return self._exchanged(connection, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise SendError(deadline.words_of(error)) from None
        except BaseException:
            self.close()
            raise
        finally:
            deadline.close()

    def _exchanged(
        self, connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        if connection.sock is None:
            connection.connect()
        connection.request("POST", self._target, body, {"User-Agent": self._agent, **headers})
        response = connection.getresponse()
        data = response.read(ANSWER_MAX + 1)
        if len(data) > ANSWER_MAX:
            raise http.client.HTTPException(f"an answer of more than {ANSWER_MAX >> 10} KiB")
        if response.will_close:
            self.close()
        return Answer(
            response.status,
            response.reason,
            {name.lower(): value for name, value in response.getheaders()},
            data,
        )

    def _connected(self) -> http.client.HTTPConnection:
        """Return the kept connection if it is still open, and else a new one, not connected yet."""
        if self._tls is not None and (stamp := self._tls.stamp()) != self._stamp:
            self.close()
            self._context = self._tls.context()
            self._stamp = stamp
        if self._connection is not None and _has_ended(self._connection.sock):
            self.close()
        if self._connection is None:
            host, port = self._where.hostname or "", self._where.port
            if self._context is None:
                made = http.client.HTTPConnection(host, port, timeout=self._seconds)
            else:
                made = http.client.HTTPSConnection(
                    host, port, timeout=self._seconds, context=self._context
                )
            made.response_class = _Response
            self._connection = made
        return self._connection

    def abort(self) -> None:
        """End what `post` waits for."""
        if (connection := self._connection) is not None:
            _shut(connection)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Deadline:
    """Ends what waits for a connection once that many seconds are over."""

    def __init__(self, seconds: float, connection: http.client.HTTPConnection) -> None:
        self._seconds = seconds
        self._connection = connection
        self._over = False
        self._worker = Worker("deadline")
        self._worker.start(self._run)

    def _run(self) -> None:
        self._worker.pause(self._seconds)
        if not self._worker.ending:
            self._over = True
            _shut(self._connection)

    def words_of(self, error: BaseException) -> str:
        return "timed out" if self._over else words_of(error)

    def close(self) -> None:
        self._worker.close(0)


def _shut(connection: http.client.HTTPConnection) -> None:
    sock: socket.socket | None = connection.sock
    if sock is not None:
        with suppress(OSError):  # it has just been closed
            # Of the base class: OpenSSL's own would wait for the other side.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _has_ended(sock: socket.socket | None) -> bool:
    """Whether the server has closed it meanwhile, or says what nobody asked."""
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
