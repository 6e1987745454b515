# SPDX-License-Identifier: Apache-2.0
"""The web configuration in force: TLS, users and headers, read again when a file of it changes.

The server asks before each TLS connection and each request; what that costs while nothing changes
is one stat() a file. A file that makes no sense then, half written perhaps, changes nothing, and is
said once. Whether there is TLS at all is settled at the start.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...system import log
from .auth import BasicAuth
from .config_file import WebSettings, read
from .stream import Stream

if TYPE_CHECKING:
    import ssl

# A file may change again within one tick of its file system's clock, and show the same times.
SETTLED_NS = 1_000_000_000  # since its last change

Stamp = tuple[int, ...] | None


class WebConfig:
    def __init__(self, path: str, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        """Raises `UsageError`."""
        self._path = path
        self._wall_ns = wall_ns
        self._stamps: dict[str, Stamp] = {}
        self._settings: WebSettings | None = None
        self._context: ssl.SSLContext | None = None
        self._allowed: tuple[str, ...] | None = None
        self._log = log.Once("kept the old web configuration")
        self.auth: BasicAuth | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        self._load()

    @property
    def has_tls(self) -> bool:
        """Whether it does; that changes with a restart only."""
        return self._context is not None

    def wrap(self, plain: socket.socket) -> Stream:
        """Return the stream of a client that was accepted."""
        self.refresh()
        if self._context is None:
            return Stream(plain)
        from .tls import TlsStream

        return TlsStream(plain, self._context, self._allowed)

    def refresh(self) -> None:
        """Take up what has changed; to be called by one thread only."""
        if all(seen and stamp(path) == seen for path, seen in self._stamps.items()):
            return
        try:
            self._load()
        except UsageError as error:
            self._log.warn(str(error))
        else:
            self._log.clear()

    def _load(self) -> None:
        # Stamped before it is read: what changes meanwhile is seen the next time.
        self._stamps[self._path] = self._stamp(self._path)
        settings = read(self._path)
        tls = settings.tls
        files = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ()
        self._stamps = {path: self._stamp(path) for path in (self._path, *files) if path}
        before = self._settings
        if before is not None and (before.tls is None) != (tls is None):
            done = "removed" if tls is None else "added"
            raise UsageError(
                f"--web.config.file {self._path}: tls_server_config was {done}: restart"
            )
        context = None
        if tls is not None:
            from .tls import make_context

            context = make_context(tls)
        if before is None or settings.users != before.users:
            self.auth = BasicAuth(settings.users) if settings.users else None
        self._context = context
        self._allowed = tls.client_allowed_sans if tls else None
        self.headers = settings.headers
        self._settings = settings

    def _stamp(self, path: str) -> Stamp:
        """None where it cannot be relied on: the file is read again the next time."""
        found = stamp(path)
        return found if found and abs(self._wall_ns() - found[-1]) > SETTLED_NS else None


def stamp(path: str) -> Stamp:
    """Return what tells that a file has changed; None: it is not there."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
