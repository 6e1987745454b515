# SPDX-License-Identifier: Apache-2.0
"""Where the API is and who we are, from a pod's environment or from a kubeconfig."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..identity.metadata import mapping
from .in_pod import ACCOUNT, api_address, token_file


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API. A token is read anew for each request: the kubelet renews it."""

    server: str  # https://HOST:PORT
    context: ssl.SSLContext | None = None  # None: plain HTTP
    token: str | None = None
    token_file: Path | None = None

    def headers(self) -> dict[str, str]:
        """Return what says who we are; OSError if the token's file cannot be read."""
        token = self.token
        if self.token_file is not None:
            token = self.token_file.read_text(encoding="ascii", errors="replace").strip()
        return {"Authorization": f"Bearer {token}"} if token else {}


def in_pod(environ: Mapping[str, str] = os.environ, account: Path = Path(ACCOUNT)) -> Access:
    """Return the access of the service account of the pod we are in."""
    host, port = api_address(environ)
    token, authority = Path(token_file(str(account))), account / "ca.crt"
    context = _context(lambda made: made.load_verify_locations(authority), str(authority))
    host = f"[{host}]" if ":" in host else host
    return Access(f"https://{host}:{port}", context, token_file=token)


def by_kubeconfig(path: str) -> Access:
    """Return the access of a kubeconfig's current context: a token, or a certificate."""
    import yaml

    file = Path(path).expanduser()
    try:
        config = mapping(yaml.safe_load(file.read_bytes()))
    except OSError as error:
        raise UsageError(f"--kubeconfig {path}: {(error.strerror or str(error)).lower()}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UsageError(f"--kubeconfig {path}: not YAML") from None
    found = Kubeconfig(path, file.parent, config)
    current = found.named("contexts", "context", config.get("current-context"))
    cluster = found.named("clusters", "cluster", current.get("cluster"))
    user = found.named("users", "user", current.get("user")) if current.get("user") else {}
    return found.access(cluster, user)


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """The file, decoded; relative paths in it are relative to ``folder``."""

    path: str
    folder: Path
    config: Mapping[str, Any]

    def named(self, plural: str, singular: str, name: object) -> Mapping[str, Any]:
        """Return one entry of a list of ``{name: ..., <singular>: {...}}``."""
        entries = self.config.get(plural)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(name, str) and mapping(entry).get("name") == name:
                return mapping(mapping(entry).get(singular))
        raise self._wrong(f"no {singular} {name!r}")

    def access(self, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Access:
        """Return the access of one cluster and user."""
        server = cluster.get("server")
        if not isinstance(server, str) or not server.startswith(("https://", "http://")):
            raise self._wrong(f"server {server!r} is not a URL")
        for other in ("exec", "auth-provider"):
            if other in user:
                raise self._wrong(
                    f"its user has {other}, which is not supported: use a token (kubectl create "
                    "token) or a certificate"
                )
        token_file = user.get("tokenFile")
        return Access(
            server.rstrip("/"),
            self._tls(cluster, user) if server.startswith("https:") else None,
            token=user.get("token"),
            token_file=self.folder / token_file if token_file else None,
        )

    def _tls(self, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
        authority = self._pem(cluster, "certificate-authority")
        cert, key = self._pem(user, "client-certificate"), self._pem(user, "client-key")

        def load(context: ssl.SSLContext) -> None:
            if cluster.get("insecure-skip-tls-verify") is True:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif authority is not None:
                context.load_verify_locations(cadata=authority.decode("ascii", "replace"))
            else:
                context.load_default_certs()
            if cert is not None and key is not None:
                with _held(cert) as cert_path, _held(key) as key_path:
                    context.load_cert_chain(cert_path, key_path)

        return _context(load, f"--kubeconfig {self.path}")

    def _pem(self, entry: Mapping[str, Any], name: str) -> bytes | None:
        """Return ``<name>-data`` or what is in the file ``<name>``."""
        try:
            if data := entry.get(f"{name}-data"):
                return base64.b64decode(data, validate=True)
            return (self.folder / entry[name]).read_bytes() if entry.get(name) else None
        except (binascii.Error, ValueError, TypeError):
            raise self._wrong(f"{name}-data is not base64") from None
        except OSError as error:
            raise self._wrong(f"{name} {entry[name]}: {(error.strerror or '').lower()}") from None

    def _wrong(self, words: str) -> UsageError:
        return UsageError(f"--kubeconfig {self.path}: {words}")


class _held:  # noqa: N801 - reads as the function it is
    """A path to bytes, for OpenSSL, which takes a certificate from files only; nothing on disk."""

    def __init__(self, data: bytes) -> None:
        self._file = os.memfd_create("certificate", os.MFD_CLOEXEC)
        os.write(self._file, data)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._file}"

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _context(load: Any, where: str) -> ssl.SSLContext:
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
