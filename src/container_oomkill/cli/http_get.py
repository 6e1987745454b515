# SPDX-License-Identifier: Apache-2.0
"""One GET by HTTP/1.0, whose answer ends with the connection: all that `show` needs.

http.client brings `email` along: half a megabyte, for which the exporter's image has no room
(`make image` prints the sizes, tests/images holds them against their goals).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: ([\x20-\x7e]*))?\r?\n")
LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,18})[ \t]*\r?$")
CHUNKED = re.compile(rb"(?im)^transfer-encoding:")
UNSENDABLE = re.compile(r"[\x00-\x20\x7f]")
PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    body: bytes


class NotHttpError(OSError):
    """What answers speaks something else, or hung up too soon."""


def encode(host: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Return the request. Raises `ValueError` for a host or target that cannot be sent."""
    if UNSENDABLE.search(target) or UNSENDABLE.search(host):
        raise ValueError("blanks and control characters can't be sent")
    lines = [f"GET {target} HTTP/1.0", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def exchange(connection: socket.socket, request: bytes, *, most: int) -> Answer:
    """Ask over a connection that is open; ``most``: bytes of an answer.

    Raises `OSError` for what fails on the way.
    """
    connection.sendall(request)
    data = bytearray()
    while len(data) <= most and (piece := connection.recv(PIECE)):
        data += piece
    if len(data) > most:
        raise NotHttpError(f"an answer of more than {most} bytes")
    return _parsed(bytes(data))


def _parsed(data: bytes) -> Answer:
    line = STATUS_LINE.match(data)
    if line is None:
        raise NotHttpError("no HTTP answer" if data else "hung up without an answer")
    end = re.search(rb"\r?\n\r?\n", data)
    head, body = (data, b"") if end is None else (data[: end.start()], data[end.end() :])
    if CHUNKED.search(head):
        raise NotHttpError("an answer in chunks, which HTTP/1.0 does not have")
    if (length := LENGTH.search(head)) is not None and len(body) < int(length[1]):
        raise NotHttpError(f"hung up after {len(body)} of {int(length[1])} bytes")
    return Answer(int(line[1]), (line[2] or b"").decode("ascii"), body)
