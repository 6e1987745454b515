# SPDX-License-Identifier: Apache-2.0
"""The client's side of TLS, from files: a CA, and a certificate of our own where one is asked for.

Files are read again when they change: certificates are renewed while the process runs.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files; None: the system's CAs, and no certificate of our own."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None  # None: it is in `cert_file`

    def __bool__(self) -> bool:
        return any((self.ca_file, self.cert_file, self.key_file))

    def stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Return what changes when a file is replaced or written."""
        return tuple(_stamp(path) for path in (self.ca_file, self.cert_file, self.key_file))

    def context(self) -> ssl.SSLContext:
        """Return what they say. Raises `UsageError`, which names the file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca_file is None:
            context.load_default_certs()
        else:
            _loaded(self.ca_file, lambda: context.load_verify_locations(self.ca_file))
        if self.cert_file is not None:
            cert, key = self.cert_file, self.key_file
            # Without a password none is asked for.
            files = f"{cert}, {key}" if key else cert
            _loaded(files, lambda: context.load_cert_chain(cert, key, password=""))
        return context


def _stamp(path: str | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 - a path as text, looked at before each request
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _loaded(what: str, load: Callable[[], object]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise UsageError(f"{what}: OpenSSL rejects it: {error.reason or error}") from None
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{what}: {words.lower()}") from None
