# SPDX-License-Identifier: Apache-2.0
"""Takes a status and a body, gives the bytes of an HTTP answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from .request import HttpError, Request

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"

SECURITY = (
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    ),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


@dataclass(slots=True)
class Response:
    """``body``: whole as bytes, else in pieces that are made as the client takes them."""

    status: int
    body: bytes | Iterator[bytes]
    headers: list[tuple[str, str]] = field(default_factory=list)
    heavy: bool = False  # one of those the server gives only so many of at once


def text(status: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    return Response(status, f"{message}\n".encode(), [("Content-Type", TEXT), *headers])


def of_error(error: HttpError) -> Response:
    return text(error.status, error.message, error.headers)


def encode(response: Response, request: Request | None, *, keep_alive: bool) -> Iterator[bytes]:
    """Yield the head and the body as they go over the wire; ``request`` None: it was malformed."""
    chunked = not isinstance(response.body, bytes) and request is not None and request.chunks
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    for name, value in (*response.headers, *SECURITY):
        lines.append(f"{name}: {value}")
    if isinstance(response.body, bytes):
        lines.append(f"Content-Length: {len(response.body)}")
    elif chunked:
        lines.append("Transfer-Encoding: chunked")
    lines.append("Connection: keep-alive" if keep_alive else "Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if request is not None and request.method == "HEAD":
        yield head
    elif isinstance(response.body, bytes):
        yield head + response.body
    else:
        yield head
        for piece in response.body:
            if piece:  # an empty chunk would end the body
                yield b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
        if chunked:
            yield b"0\r\n\r\n"
