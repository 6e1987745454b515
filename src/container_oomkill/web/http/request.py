# SPDX-License-Identifier: Apache-2.0
"""Parses the head of an HTTP request into a `Request`; malformed ones get a clean 4xx.

Follows RFC 9112, and is strict where leniency has enabled request smuggling: no folded lines, no
space before a colon, one Host. It never reads a body: a connection that announces one is closed
after the response.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

HEAD_MAX = 8192  # bytes of request line and headers
HEADERS_MAX = 64
PARAMETERS_MAX = 16

ONCE = ("host", "content-length", "transfer-encoding", "authorization")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VERSION = re.compile(r"HTTP/(\d)\.(\d)", re.ASCII)
BARE_LF = re.compile(rb"(?<!\r)\n")
TARGET = re.compile(r"[!-~]+")  # RFC 3986: anything else comes percent-encoded
SPACE = " \t"  # RFC 9110 5.6.3: of Python's own white space, two characters are letters here
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HttpError(Exception):
    """Ends in an answer of this status."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = [(name.replace("_", "-"), value) for name, value in headers.items()]


@dataclass(slots=True)
class Request:
    """The head of a request; there is never a body."""

    method: str
    path: str  # decoded, without the query
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    keep_alive: bool = False
    chunks: bool = False  # the client understands chunked coding (HTTP/1.1)

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


def head_end(data: bytearray) -> int:
    """Return where the head ends, 0 if it is not all there.

    Raises `HttpError` for what can be no request, or is too long.
    """
    while data[:2] == b"\r\n":  # RFC 9112 2.2: ignore empty lines before a request
        del data[:2]
    if data and not (65 <= data[0] <= 90 or data[0] in b"\r"):
        raise HttpError(400, "not HTTP")  # TLS, for one, which would never end a line
    end = data.find(b"\r\n\r\n", 0, HEAD_MAX)
    if BARE_LF.search(data, 0, end if end >= 0 else HEAD_MAX):
        raise HttpError(400, "line without a carriage return")
    if end >= 0:
        return end + 4
    if len(data) >= HEAD_MAX:
        if data.find(b"\r\n", 0, HEAD_MAX) < 0:
            raise HttpError(414, "request line too long")
        raise HttpError(431, "headers too long")
    return 0


def parse(head: bytes) -> Request:
    """Parse a whole head, the empty line included. Raises `HttpError`."""
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, (major, minor) = _request_line(lines[0])
    headers = _headers(lines[1:])
    if minor >= 1 and "host" not in headers:
        raise HttpError(400, "no Host header")
    path, query = _target(target)
    connection = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    keep = (minor >= 1 or "keep-alive" in connection) and "close" not in connection
    return Request(
        method=method,
        path=path,
        query=query,
        headers=headers,
        keep_alive=keep and not has_body,
        chunks=(major, minor) >= (1, 1),
    )


def _request_line(line: str) -> tuple[str, str, tuple[int, int]]:
    words = line.split(" ")
    if len(words) != 3:
        raise HttpError(400, "malformed request line")
    method, target, protocol = words
    version = VERSION.fullmatch(protocol)
    if not TOKEN.fullmatch(method) or not TARGET.fullmatch(target) or version is None:
        raise HttpError(400, "malformed request line")
    if version[1] != "1":
        raise HttpError(505, "only HTTP/1.0 and HTTP/1.1 are supported")
    return method, target, (1, int(version[2]))


def _headers(lines: list[str]) -> dict[str, str]:
    if len(lines) > HEADERS_MAX:
        raise HttpError(431, "too many headers")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name) or CONTROL.search(value):
            raise HttpError(400, "malformed header")
        name = name.lower()
        if name in headers and name in ONCE:
            raise HttpError(400, f"more than one {name} header")
        value = value.strip(SPACE)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _target(target: str) -> tuple[str, dict[str, str]]:
    if target.lower().startswith(("http://", "https://")):
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    if not target.startswith("/"):
        raise HttpError(400, "malformed request target")
    path, _, query = target.partition("#")[0].partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise HttpError(400, "too many parameters") from None
    return unquote(path, errors="replace"), dict(pairs)
