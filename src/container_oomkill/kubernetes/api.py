# SPDX-License-Identifier: Apache-2.0
"""The API's client: requests and responses, bounded in size and time.

Every failure is an `ApiError`. A connection whose other end has vanished is detected by TCP
keep-alive, even in a watch in which nothing happens for minutes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from ..sinks.printable import printable
from ..system.network import WORDS_MAX, words_of
from .access import Access
from .errors import ApiError
from .objects import Status, T, decode

MIB = 1 << 20
ANSWER_MAX = 16 * MIB  # a page of pods; of a node with a few hundred it is 1 to 4 MiB
LINE_MAX = 4 * MIB  # a pod in a watch; etcd takes objects up to 1.5 MiB
REFUSAL_MAX = 64 << 10
PIECE = 64 << 10
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
JSON = "application/json"
KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)


class Api:
    """For several threads; `close` ends what they wait for."""

    def __init__(
        self,
        access: Access,
        *,
        agent: str = "container-oomkill",
        patience: float = READ_SECONDS,
        connections: int = 3,
    ) -> None:
        """``patience``: seconds without a byte of an answer; a watch has its own.

        ``connections``: kept for the next request.
        """
        self.server = access.server
        self._patience = patience
        self._access = access
        self._agent = agent
        if access.context is not None and not access.context.check_hostname:
            urllib3.disable_warnings()  # the kubeconfig says so
        self._pool = _pool(access, connections)
        self._streams: set[urllib3.BaseHTTPResponse] = set()
        self._closed = False

    def get(
        self, path: str, kind: type[T], *, fields: Mapping[str, str] | None = None, form: str = JSON
    ) -> T:
        """Return an object; ``form``: the media type to ask for."""
        return decode(self._whole("GET", path, fields=fields, headers={"Accept": form}), kind)

    def body(self, path: str, fields: Mapping[str, str], seconds: float) -> bytes:
        """Return what a path answers, whoever is behind it, within so many seconds in all."""
        until = time.monotonic() + seconds
        response = self._open("GET", path, fields=fields, read_seconds=seconds)
        data = bytearray()
        try:
            while piece := response.read1(PIECE):
                data += piece
                if len(data) > ANSWER_MAX:
                    raise ApiError(f"response larger than {ANSWER_MAX // MIB} MiB")
                if time.monotonic() > until:
                    raise ApiError("timed out")
        except (HTTPError, OSError) as error:
            response.close()
            raise ApiError(words_of(error)) from None
        except ApiError:
            response.close()
            raise
        response.release_conn()
        return bytes(data)

    def post(self, path: str, body: Any) -> None:
        """Create an object."""
        self._send("POST", path, body, JSON)

    def patch(self, path: str, body: Any) -> None:
        """Change fields of an object."""
        self._send("PATCH", path, body, "application/merge-patch+json")

    def watch(self, path: str, fields: Mapping[str, str], seconds: float) -> Iterator[bytes | None]:
        """Yield lines as they come, None for one that is too long, for at most ``seconds``.

        The first thing it yields is an empty line, as soon as the server has accepted.
        """
        response = self._open("GET", path, fields=fields, read_seconds=seconds)
        self._streams.add(response)
        try:
            yield b""
            yield from _lines(response)
        except (HTTPError, OSError) as error:
            raise ApiError(words_of(error)) from None
        finally:
            self._streams.discard(response)
            response.close()

    def close(self) -> None:
        """End every watch, for good."""
        self._closed = True
        for response in list(self._streams):
            response.shutdown()
        self._pool.clear()

    def _send(self, method: str, path: str, body: Any, media: str) -> None:
        data = msgspec.json.encode(body)
        self._whole(method, path, data=data, headers={"Content-Type": media, "Accept": JSON})

    def _whole(self, method: str, path: str, **more: Any) -> bytes:
        response = self._open(method, path, **more)
        try:
            data = response.read(ANSWER_MAX + 1)
        except (HTTPError, OSError) as error:
            response.close()
            raise ApiError(words_of(error)) from None
        if len(data) > ANSWER_MAX:
            response.close()
            raise ApiError(f"response larger than {ANSWER_MAX // MIB} MiB")
        response.release_conn()
        return data

    def _open(
        self,
        method: str,
        path: str,
        *,
        fields: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_seconds: float | None = None,
    ) -> urllib3.BaseHTTPResponse:
        if self._closed:
            raise ApiError("closed")
        url = self.server + path + ("?" + _query(fields) if fields else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=data,
                headers={
                    "User-Agent": self._agent,
                    **(headers or {}),
                    **self._access.headers(),
                },
                timeout=urllib3.Timeout(
                    connect=min(CONNECT_SECONDS, read_seconds or CONNECT_SECONDS),
                    read=read_seconds or self._patience,
                ),
                preload_content=False,
                decode_content=False,  # nothing packed is asked for: it could be of any size
                redirect=False,
            )
        except (HTTPError, OSError, ValueError) as error:  # ValueError: a token with a line's end
            raise ApiError(words_of(error)) from None
        if response.status >= 300:
            raise _refusal(response)
        return response


def _pool(access: Access, connections: int) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "retries": False,
        "maxsize": connections,
        "ssl_context": access.context,
        "socket_options": list(KEEP_ALIVE),
    }
    if access.server_name is not None:
        options["server_hostname"] = access.server_name
    if access.proxy is not None:
        return urllib3.ProxyManager(access.proxy, **options)
    return urllib3.PoolManager(**options)


def _query(fields: Mapping[str, str]) -> str:
    from urllib.parse import urlencode

    return urlencode(fields)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes | None]:
    line = bytearray()
    too_long = False
    while piece := response.read1(PIECE):
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line += end
            yield None if too_long else bytes(line)
            line.clear()
            too_long = False
        if not too_long:
            line += rest
        if len(line) > LINE_MAX:
            too_long = True
            line = bytearray()


def _refusal(response: urllib3.BaseHTTPResponse) -> ApiError:
    """Return the API's reason; a proxy may have written it, so it is sanitised."""
    status = Status()
    try:
        status = decode(response.read(REFUSAL_MAX) or b"{}", Status)
    except (HTTPError, OSError, ApiError):
        pass  # not the API's own: a proxy's page
    finally:
        response.close()
    words = f"{response.status} {status.message or status.reason or response.reason or ''}"
    after = response.headers.get("Retry-After", "")
    return ApiError(
        printable(words.strip())[:WORDS_MAX],
        response.status,
        causes=frozenset({status.reason, *status.causes()}),
        retry_after=float(after) if after.isascii() and after.isdecimal() else None,
    )
