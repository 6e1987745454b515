# SPDX-License-Identifier: Apache-2.0
"""Where the API is and who we are; in a pod, from its environment (else: `kubeconfig`)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .in_pod import ACCOUNT, api_address, token_file


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API. A token is read anew for each request: the kubelet renews it.

    ``ask_token``: of a credential plugin, which runs again when its token has expired.
    """

    server: str  # https://HOST:PORT
    context: ssl.SSLContext | None = None  # None: plain HTTP
    token: str | None = None
    token_file: Path | None = None
    ask_token: Callable[[], str | None] | None = None
    server_name: str | None = None  # that the certificate is for, if not the server's
    proxy: str | None = None  # http://HOST:PORT
    namespace: str | None = None  # the context's

    def headers(self) -> dict[str, str]:
        """Return what says who we are; OSError if the token's file cannot be read."""
        token = self.token if self.ask_token is None else self.ask_token()
        if self.token_file is not None:
            token = self.token_file.read_text(encoding="ascii", errors="replace").strip()
        return {"Authorization": f"Bearer {token}"} if token else {}


def in_pod(environ: Mapping[str, str] = os.environ, account: Path = Path(ACCOUNT)) -> Access:
    """Return the access of the service account of the pod we are in."""
    host, port = api_address(environ)
    token, authority = Path(token_file(str(account))), account / "ca.crt"
    context = tls_context(lambda made: made.load_verify_locations(authority), str(authority))
    host = f"[{host}]" if ":" in host else host
    return Access(f"https://{host}:{port}", context, token_file=token)


class held:  # noqa: N801 - reads as the function it is
    """A path to bytes, for OpenSSL, which takes a certificate from files only; nothing on disk."""

    def __init__(self, data: bytes) -> None:
        self._file = os.memfd_create("certificate", os.MFD_CLOEXEC)
        os.write(self._file, data)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._file}"

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def tls_context(load: Callable[[ssl.SSLContext], None], where: str) -> ssl.SSLContext:
    """Return one that ``load`` has given its certificates. Raises `UsageError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        load(context)
    except (ssl.SSLError, ValueError) as error:
        words = getattr(error, "reason", None) or str(error)
        raise UsageError(f"{where}: OpenSSL rejects the certificate: {words}") from None
    except OSError as error:
        raise UsageError(f"{where}: {(error.strerror or '').lower()}") from None
    return context
