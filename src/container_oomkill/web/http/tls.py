# SPDX-License-Identifier: Apache-2.0
"""TLS for the server: a context made of settings, and a client's stream by it.

`ssl` (OpenSSL) is imported only where TLS is asked for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .config_file import TlsSettings
from .stream import Gone, Stream, WantRead, WantWrite

VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
VERSION = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
ADDRESS = "IP Address"  # as OpenSSL calls that kind of name


class TlsStream(Stream):
    """A client that speaks TLS; ``allowed``: the names its certificate must have one of."""

    def __init__(
        self, plain: socket.socket, context: ssl.SSLContext, allowed: tuple[str, ...] | None = None
    ) -> None:
        wrapped = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        super().__init__(wrapped)
        self._tls = wrapped
        self._allowed = allowed

    def handshake(self) -> None:
        with _never_blocking():
            self._tls.do_handshake()
        if self._allowed is not None:
            certificate = self._tls.getpeercert()
            # None: none was given, which client_auth_type allowed.
            if certificate is not None and names_of(certificate).isdisjoint(self._allowed):
                raise Gone

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


def names_of(certificate: dict[str, Any]) -> set[str]:
    """Return the names that a verified certificate is for: DNS, e-mail, URI and IP address."""
    return {
        _address(name) if kind == ADDRESS else name
        for kind, name in certificate.get("subjectAltName", ())
    }


def _address(text: str) -> str:
    """As one writes it: OpenSSL writes every group of an IPv6 address, in upper case."""
    if ":" not in text:
        return text
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text))


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


def make_context(settings: TlsSettings) -> ssl.SSLContext:
    """Raises `UsageError`, which names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSION[settings.min_version]
    context.maximum_version = VERSION[settings.max_version]
    context.set_alpn_protocols(["http/1.1"])
    if settings.ciphers:
        with _blaming("tls_server_config.cipher_suites"):
            context.set_ciphers(":".join(settings.ciphers))
    if not settings.prefer_server_ciphers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if settings.curve:
        with _blaming("tls_server_config.curve_preferences"):
            context.set_ecdh_curve(settings.curve)
    cert, key, client_ca = settings.cert_file, settings.key_file, settings.client_ca_file
    for path in (cert, key, client_ca):  # OpenSSL does not say which file it could not read
        if path:
            with _blaming(f"read TLS file {path}"), Path(path).open("rb"):
                pass
    with _blaming(f"load certificate {cert}, key {key}"):
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(cert, key, password=lambda: b"")
    if client_ca:
        with _blaming(f"load client CA {client_ca}"):
            context.load_verify_locations(cafile=client_ca)
        # Whatever is in the file is trusted, an intermediate one without its root too, as in Go.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = VERIFY[settings.client_auth_type]
    return context


@contextlib.contextmanager
def _blaming(what: str) -> Iterator[None]:
    """Make what fails within a `UsageError` that names the file."""
    try:
        yield
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        words = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{what}: {words.replace('_', ' ').lower()}") from None
