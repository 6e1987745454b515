# SPDX-License-Identifier: Apache-2.0
"""Takes certificate files, gives a TLS context; renewed files are taken up without a restart.

`ssl` (OpenSSL, 5 MiB) is imported only where TLS is asked for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import UsageError
from ...system import log
from .stream import Gone, Stream, WantRead, WantWrite

LOOK_AGAIN_SECONDS = 10.0


class TlsStream(Stream):
    """A client that speaks TLS."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        wrapped = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        super().__init__(wrapped)
        self._tls = wrapped

    def handshake(self) -> None:
        with _never_blocking():
            self._tls.do_handshake()

    def read(self, size: int) -> bytes:
        with _never_blocking():
            return self._tls.recv(size)

    def write(self, data: memoryview) -> int:
        with _never_blocking():
            return self._tls.send(data)

    def end(self) -> None:
        with contextlib.suppress(OSError):  # it waits for the client's answer: we do not
            self._tls.unwrap()
        super().end()


@contextlib.contextmanager
def _never_blocking() -> Iterator[None]:
    """What OpenSSL waits for, as `Stream` says it: either may be needed to do the other."""
    try:
        yield
    except ssl.SSLWantReadError:
        raise WantRead from None
    except ssl.SSLWantWriteError:
        raise WantWrite from None
    except OSError:
        raise Gone from None


class Tls:
    """Wraps accepted sockets; with a client CA, only clients that CA has signed get through."""

    def __init__(
        self,
        *,
        cert: str,
        key: str,
        client_ca: str | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = [path for path in (cert, key, client_ca) if path]
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._monotonic = monotonic
        self._seen = self._stamps()
        self._context = self._load()
        self._look_at = monotonic() + LOOK_AGAIN_SECONDS

    def wrap(self, plain: socket.socket) -> TlsStream:
        self._renew()
        return TlsStream(plain, self._context)

    def _renew(self) -> None:
        now = self._monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_AGAIN_SECONDS
        if (stamps := self._stamps()) == self._seen:
            return
        try:
            self._context = self._load()
        except UsageError as error:
            # Half written, perhaps: keep the old one, look again.
            log.warn(f"kept the old certificate: {error}")
        else:
            self._seen = stamps

    def _stamps(self) -> list[tuple[int, int] | None]:
        stamps: list[tuple[int, int] | None] = []
        for path in self._files:
            try:
                status = Path(path).stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((status.st_mtime_ns, status.st_ino))
        return stamps

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        for path in self._files:  # OpenSSL does not say which file it could not read
            with _blaming(f"read TLS file {path}"), Path(path).open("rb"):
                pass
        with _blaming(f"load certificate {self._cert}, key {self._key}"):
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self._cert, self._key, password=lambda: b"")
        if self._client_ca:
            with _blaming(f"load client CA {self._client_ca}"):
                context.load_verify_locations(cafile=self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@contextlib.contextmanager
def _blaming(what: str) -> Iterator[None]:
    """Make what fails within a `UsageError` that names the file."""
    try:
        yield
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        words = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{what}: {words.replace('_', ' ').lower()}") from None
