# SPDX-License-Identifier: Apache-2.0
"""Takes a status and a body, gives the bytes of an HTTP response."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from .request import HttpError, Request

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
EVENTS = "text/event-stream"

PIECE_BYTES = 1 << 15
Headers = Sequence[tuple[str, str]]

# What every answer has, unless it brings its own.
DEFAULTS = (
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
    """``body``: whole as bytes, else in pieces that are made as the client takes them.

    None among the pieces of a stream: there is nothing for now, go on at the next one.
    """

    status: int
    body: bytes | Iterator[bytes] | Iterator[bytes | None]
    headers: list[tuple[str, str]] = field(default_factory=list)
    heavy: bool = False  # one of those the server gives only so many of at once
    shared: bool = False  # made once for many: of these it gives as many again
    stream: bool = False  # has no end; of these too the server gives only so many


@dataclass(slots=True)
class Shared:
    """A page that everybody who asks for it at the same time gets, made once: see `pages`.

    ``make`` gives it compressed: that is what is kept while slow clients take it.
    """

    key: str  # of what is the same for everybody
    make: Callable[[], bytes]
    headers: list[tuple[str, str]]
    packed: bool  # this client takes it as it is

    def response(self, page: bytes) -> Response:
        pieces = _slices(page) if self.packed else _unpacked(page)
        return Response(200, pieces, self.headers, heavy=True, shared=True)


def _slices(page: bytes) -> Iterator[bytes]:
    for start in range(0, len(page), PIECE_BYTES):
        yield page[start : start + PIECE_BYTES]


def _unpacked(page: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    while page:
        yield unpacker.decompress(page, PIECE_BYTES)
        page = unpacker.unconsumed_tail


def text(status: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    return Response(status, f"{message}\n".encode(), [("Content-Type", TEXT), *headers])


def of_error(error: HttpError) -> Response:
    return text(error.status, error.message, error.headers)


def encode(
    response: Response, request: Request | None, *, keep_alive: bool, headers: Headers = ()
) -> Iterator[bytes | None]:
    """Yield the head and the body as they go over the wire; ``request`` None: it was malformed.

    ``headers``: the user's, which count more than the answer's own and the defaults.
    """
    chunked = not isinstance(response.body, bytes) and request is not None and request.chunks
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    seen: set[str] = set()
    for some in (headers, response.headers, DEFAULTS):
        lines += [f"{name}: {value}" for name, value in some if name not in seen]
        seen |= {name for name, _ in some}
    if isinstance(response.body, bytes):
        # Of 304 it would be the length of what the client has.
        if response.status != HTTPStatus.NOT_MODIFIED:
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
            if piece is None:
                yield None
            elif piece:  # an empty chunk would end the body
                yield b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
        if chunked:
            yield b"0\r\n\r\n"
