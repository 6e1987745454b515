# SPDX-License-Identifier: Apache-2.0
"""The client of `show` and `why`: fetches what a running exporter has recorded."""

from __future__ import annotations

import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

from ..errors import Error, RecordError, UsageError
from ..incident.model import Incident
from ..killers.model import Kill
from ..sinks.kill_record import kill_from_object
from ..sinks.query import Query
from ..sinks.record import from_object
from ..sinks.stuck_record import stuck_from_object
from ..stuck.model import Stuck
from .http_get import encode, exchange

T = TypeVar("T")
PATH = "/api/v1/incidents"
KILLS_PATH = "/api/v1/kills"  # 404 of one that knows of none
STUCK_PATH = "/api/v1/stuck"  # likewise
LIMIT_MAX = 1000  # the API gives no more
EVERYTHING = Query(limit=LIMIT_MAX)
PATIENCE_SECONDS = 10.0
ANSWER_MAX = 256 << 20  # bytes: 1000 incidents with many victims each
ASLEEP = "is the exporter running?"
ADVICE = {
    401: "pass --user and --password-file",
    403: "use another user",
    404: "check --url: this is not the exporter",
    503: "the exporter is busy, try again",
}


class NotThereError(Error):
    """It has no such path."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """Where it is, and who asks."""

    url: str
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def incidents(self, query: Query = EVERYTHING) -> list[Incident]:
        """Return what it has and what is asked for, newest first.

        Raises `UsageError` for an address or a file that is of no use, `Error` where the exporter
        does not answer as it should.
        """
        return self._all(PATH, "incidents", query, from_object)

    def kills(self, query: Query = EVERYTHING) -> list[Kill]:
        """Return the kills by others that are asked for, newest first; none of an older exporter.

        Errors as `incidents`.
        """
        return self._if_there(KILLS_PATH, "kills", query, kill_from_object)

    def stuck(self, query: Query = EVERYTHING) -> list[Stuck]:
        """The same of what is and was out of memory without a kill."""
        return self._if_there(STUCK_PATH, "stuck", query, stuck_from_object)

    def _if_there(self, path: str, what: str, query: Query, read: Callable[[Any], T]) -> list[T]:
        try:
            return self._all(path, what, query, read)
        except NotThereError:
            return []

    def _all(self, path: str, what: str, query: Query, read: Callable[[Any], T]) -> list[T]:
        try:
            return [read(each) for each in self._records(self._ask(path, query), what)]
        except RecordError as error:
            raise RecordError(f"response from {self.url}: {error}") from error

    def _records(self, body: bytes, what: str) -> list[Any]:
        try:
            records = json.loads(body)[what]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RecordError(f"expected a JSON list of {what}") from error
        if not isinstance(records, list):
            raise RecordError(f"{what}: expected a list")
        return records

    def _ask(self, path: str, query: Query) -> bytes:
        where = self._address()
        asked = urlencode(query.parameters() | {"limit": min(query.limit, LIMIT_MAX)})
        headers = self._who()
        tls = self._tls() if where.scheme == "https" else None
        try:
            target = f"{_prefix(where)}{path}?{asked}"
            request = encode(where.netloc or "localhost", target, headers)
            with _connected(where, tls) as connection:
                answer = exchange(connection, request, most=ANSWER_MAX)
        except OSError as error:
            words = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Error(f"ask {self.url}: {words.lower()}: {ASLEEP}") from error
        except ValueError as error:  # a host or path that cannot be sent
            raise UsageError(f"--url {self.url}: {error}") from error
        if answer.status != 200:
            advice = ADVICE.get(answer.status) or _reason(answer.body) or "see the exporter's log"
            kind = NotThereError if answer.status == 404 else Error
            raise kind(f"ask {self.url}: {answer.status} {answer.reason.lower()}: {advice}")
        return answer.body

    def _address(self) -> SplitResult:
        try:
            where = urlsplit(self.url)
            port = where.port
        except ValueError as error:
            raise UsageError(f"--url {self.url}: {error}") from error
        if where.scheme == "unix" and where.path.startswith("/"):
            return where
        if where.scheme not in ("http", "https") or not where.hostname or port == 0:
            raise UsageError(
                f"--url {self.url}: expected http://HOST:PORT or https://HOST:PORT, or unix:/PATH"
            )
        if where.username is not None:
            raise UsageError("--url: pass user and password with --user and --password-file")
        return where

    def _who(self) -> dict[str, str]:
        if self.user is None:
            return {}
        if self.password_file is None:
            raise UsageError("--user needs --password-file too")
        try:
            password = Path(self.password_file).read_bytes().rstrip(b"\r\n")
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            raise UsageError(f"read {self.password_file}: {words}") from error
        return {
            "Authorization": f"Basic {b64encode(self.user.encode() + b':' + password).decode()}"
        }

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                # Without a password none is asked for.
                context.load_cert_chain(self.cert_file, self.key_file, password="")
        except OSError as error:  # ssl.SSLError is one
            files = filter(None, (self.ca_file, self.cert_file, self.key_file))
            words = f"{error.strerror or error}".lower()
            raise UsageError(f"read {', '.join(files)}: {words}") from error
        return context


def _connected(where: SplitResult, tls: ssl.SSLContext | None) -> socket.socket:
    if where.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE_SECONDS)
        try:
            connection.connect(unquote(where.path))
        except BaseException:
            connection.close()
            raise
        return connection
    host = where.hostname or ""
    port = where.port or (443 if tls else 80)
    connection = socket.create_connection((host, port), PATIENCE_SECONDS)
    if tls is None:
        return connection
    try:
        return tls.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _prefix(where: SplitResult) -> str:
    return "" if where.scheme == "unix" else where.path.rstrip("/")


def _reason(body: bytes) -> str | None:
    """Return what the API says is wrong with a query; the newest filters are not in older ones."""
    try:
        words = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return words if isinstance(words, str) else None
