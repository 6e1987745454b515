# SPDX-License-Identifier: Apache-2.0
"""Where the API is and who we are, from a kubeconfig: a token, a certificate, or a plugin."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import UsageError
from ..identity.metadata import mapping
from .access import Access, held, tls_context

if TYPE_CHECKING:
    from .exec_plugin import ExecPlugin

# What kubectl had or has, and we do not: to go on without it would be to be somebody else.
UNSUPPORTED = ("auth-provider", "username", "as")


def by_kubeconfig(path: str) -> Access:
    """Return the access of a kubeconfig's current context: a token, or a certificate.

    Runs no plugin: who records has no right to by then. Raises `UsageError`.
    """
    return Kubeconfig(f"--kubeconfig {path}", (_read(path, f"--kubeconfig {path}"),)).access()


def by_kubeconfigs(
    paths: Sequence[str], context: str | None, where: str, environ: Mapping[str, str] = os.environ
) -> Access:
    """Return the access of one context of several files, merged as kubectl does; with plugins.

    ``context``: None: the current one; ``where``: what an error begins with. A file that does not
    exist is left out if another one does. Raises `UsageError`.
    """
    there = [path for path in paths if Path(path).expanduser().exists()] or paths[:1]
    files = tuple(_read(path, where if len(paths) == 1 else f"{where}: {path}") for path in there)
    return Kubeconfig(where, files, environ).access(context)


@dataclass(frozen=True, slots=True)
class Entry:
    """A cluster, a user or a context; relative paths in it are relative to ``folder``."""

    folder: Path
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """Its files, decoded, the first one first; ``environ``: what plugins get, None: there are none.

    Of two entries with one name, the first counts.
    """

    where: str
    files: tuple[Entry, ...]
    environ: Mapping[str, str] | None = None

    def access(self, context: str | None = None) -> Access:
        """Return the access of a context, of the current one if none is named."""
        chosen = context or self._current()
        current = self._named("contexts", "context", chosen).values
        cluster = self._named("clusters", "cluster", current.get("cluster"))
        user = Entry(Path(), {})
        if current.get("user"):
            user = self._named("users", "user", current["user"])
        namespace = current.get("namespace")
        return self._access(cluster, user, namespace if isinstance(namespace, str) else None)

    def _current(self) -> object:
        found = (each.values.get("current-context") for each in self.files)
        return next(filter(None, found), None)

    def _named(self, plural: str, singular: str, name: object) -> Entry:
        """Return one entry of a list of ``{name: ..., <singular>: {...}}``."""
        for file in self.files:
            entries = file.values.get(plural)
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(name, str) and mapping(entry).get("name") == name:
                    return Entry(file.folder, mapping(mapping(entry).get(singular)))
        raise self._wrong(f"no {singular} {name!r}")

    def _access(self, cluster: Entry, user: Entry, namespace: str | None) -> Access:
        server = cluster.values.get("server")
        if not isinstance(server, str) or not server.startswith(("https://", "http://")):
            raise self._wrong(f"server {server!r} is not a URL")
        plugins = self.environ is not None
        for other in UNSUPPORTED if plugins else ("exec", *UNSUPPORTED):
            if other in user.values:
                raise self._wrong(
                    f"its user has {other}, which is not supported: use a token (kubectl create "
                    "token) or a certificate"
                )
        plugin = self._plugin(cluster, user) if "exec" in user.values else None
        token, token_file = user.values.get("token"), user.values.get("tokenFile")
        return Access(
            server.rstrip("/"),
            self._tls(cluster, user, plugin) if server.startswith("https:") else None,
            token=token if isinstance(token, str) else None,
            token_file=user.folder / token_file if token_file and not token else None,
            ask_token=None if plugin is None else plugin.token,
            server_name=self._text(cluster, "tls-server-name"),
            proxy=self._proxy(cluster) if plugins else None,
            namespace=namespace,
        )

    def _plugin(self, cluster: Entry, user: Entry) -> ExecPlugin:
        from .exec_plugin import ExecPlugin  # an image has none

        authority = self._pem(cluster, "certificate-authority")
        seen = {
            "server": cluster.values.get("server"),
            "tls-server-name": cluster.values.get("tls-server-name"),
            "insecure-skip-tls-verify": cluster.values.get("insecure-skip-tls-verify"),
            "certificate-authority-data": authority and base64.b64encode(authority).decode(),
        }
        return ExecPlugin.of(
            mapping(user.values["exec"]),
            user.folder,
            {name: value for name, value in seen.items() if value},
            self.environ or {},
            self.where,
        )

    def _proxy(self, cluster: Entry) -> str | None:
        """Return what stands between, by the file or by HTTPS_PROXY and NO_PROXY."""
        url = self._text(cluster, "proxy-url")
        if url is None:
            from urllib.request import getproxies, proxy_bypass

            server = urlsplit(str(cluster.values["server"]))
            url = getproxies().get(server.scheme)
            if url and proxy_bypass(server.netloc):
                url = None
        if url and not url.startswith(("http://", "https://")):
            raise self._wrong(f"proxy {url}: only http:// and https:// proxies are supported")
        return url

    def _text(self, entry: Entry, name: str) -> str | None:
        value = entry.values.get(name)
        return value if isinstance(value, str) and value else None

    def _tls(self, cluster: Entry, user: Entry, plugin: ExecPlugin | None) -> ssl.SSLContext:
        authority = self._pem(cluster, "certificate-authority")
        cert, key = self._pem(user, "client-certificate"), self._pem(user, "client-key")
        if plugin is not None and cert is None:
            cert, key = plugin.certificate()

        def load(context: ssl.SSLContext) -> None:
            if cluster.values.get("insecure-skip-tls-verify") is True:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif authority is not None:
                context.load_verify_locations(cadata=authority.decode("ascii", "replace"))
            else:
                context.load_default_certs()
            if cert is not None and key is not None:
                with held(cert) as cert_path, held(key) as key_path:
                    context.load_cert_chain(cert_path, key_path)

        return tls_context(load, self.where)

    def _pem(self, entry: Entry, name: str) -> bytes | None:
        """Return ``<name>-data`` or what is in the file ``<name>``."""
        values = entry.values
        try:
            if data := values.get(f"{name}-data"):
                return base64.b64decode(data, validate=True)
            return (entry.folder / values[name]).read_bytes() if values.get(name) else None
        except (binascii.Error, ValueError, TypeError):
            raise self._wrong(f"{name}-data is not base64") from None
        except OSError as error:
            raise self._wrong(f"{name} {values[name]}: {(error.strerror or '').lower()}") from None

    def _wrong(self, words: str) -> UsageError:
        return UsageError(f"{self.where}: {words}")


def _read(path: str, where: str) -> Entry:
    import yaml

    file = Path(path).expanduser()
    try:
        return Entry(file.parent, mapping(yaml.safe_load(file.read_bytes())))
    except OSError as error:
        raise UsageError(f"{where}: {(error.strerror or str(error)).lower()}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UsageError(f"{where}: not YAML") from None
