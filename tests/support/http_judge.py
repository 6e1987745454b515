# SPDX-License-Identifier: Apache-2.0
"""What we make of a request, beside what h11 makes of it, and where the two differ for a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import h11

from container_oomkill.web.http.request import (
    HEAD_MAX,
    HEADERS_MAX,
    PARAMETERS_MAX,
    HttpError,
    Request,
    head_end,
    parse,
)


def answered(data: bytes) -> Request | int | None:
    """The request, the status of its refusal, or None: it is not all there."""
    buffer = bytearray(data)
    try:
        end = head_end(buffer)
        return parse(bytes(buffer[:end])) if end else None
    except HttpError as error:
        return error.status


def judged(data: bytes) -> h11.Request | int | None:
    """What h11 makes of it."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return error.error_status_hint
    return event if isinstance(event, h11.Request) else None


TAKEN, REFUSED, WAITING = "taken", "refused", "waiting"


def outcome(answer: object) -> str:
    return WAITING if answer is None else REFUSED if isinstance(answer, int) else TAKEN


@dataclass(frozen=True)
class Difference:
    """``when``: of a head, as h11 ends it; ``shown``: bytes that show it."""

    reason: str
    ours: str
    theirs: tuple[str, ...]
    when: Callable[[bytes], object]
    shown: bytes


def lines(head: bytes) -> list[bytes]:
    return head.removesuffix(b"\r\n\r\n").split(b"\r\n")


def target(head: bytes) -> bytes:
    words = lines(head)[0].split(b" ")
    return words[1] if len(words) == 3 else b""


def values(head: bytes, name: bytes) -> list[bytes]:
    found = (line.partition(b":") for line in lines(head)[1:])
    return [value.strip(b" \t") for key, _, value in found if key.lower() == name]


def length_is_a_number(value: bytes) -> bool:
    """As h11 has it: the same number, perhaps more than once."""
    numbers = {each.strip() for each in value.split(b",")}
    return len(numbers) == 1 and re.fullmatch(rb"[0-9]{1,20}", numbers.pop()) is not None


GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
AUTH, CODING = b"authorization", b"transfer-encoding"
DIFFERENCES = {
    "bare line feed": Difference(
        "RFC 9112 2.2 allows to take it for a line's end; what stands before may not, and then"
        " sees another request: no client of ours sends it",
        REFUSED,
        (TAKEN, WAITING),
        lambda head: re.search(rb"(?<!\r)\n", head),
        b"GET / HTTP/1.1\nHost: h\n\n",
    ),
    "first byte": Difference(
        "no method that we answer begins otherwise, and TLS, which never ends a line, is to be"
        " told at once",
        REFUSED,
        (TAKEN, WAITING),
        lambda head: not head[:1].isupper(),
        b"get / HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
    "too long": Difference(
        "h11 bounds only what is not complete yet",
        REFUSED,
        (TAKEN, WAITING),
        lambda head: len(head) >= HEAD_MAX,
        GET + b"A: " + b"x" * HEAD_MAX + b"\r\n\r\n",
    ),
    "empty lines before": Difference(
        "RFC 9112 2.2: a server should ignore them",
        TAKEN,
        (REFUSED,),
        lambda head: head.startswith(b"\r\n"),
        b"\r\n" + GET + b"\r\n",
    ),
    "empty lines before, not all there": Difference(
        "as above",
        WAITING,
        (REFUSED,),
        lambda head: head.startswith(b"\r"),
        b"\r\nGET",
    ),
    "folded line": Difference(
        "RFC 9112 5.2: a server must refuse it or replace it; those that did neither let requests"
        " be smuggled",
        REFUSED,
        (TAKEN,),
        lambda head: any(line[:1] in (b" ", b"\t") for line in lines(head)),
        GET + b" folded\r\n\r\n",
    ),
    "another version": Difference(
        "h11 leaves it to the application: 505",
        REFUSED,
        (TAKEN,),
        lambda head: not lines(head)[0].endswith((b"HTTP/1.0", b"HTTP/1.1")),
        b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
    ),
    "another form of target": Difference(
        "h11 leaves it to the application: * and HOST:PORT are for OPTIONS and CONNECT, which we"
        " refuse",
        REFUSED,
        (TAKEN,),
        lambda head: not target(head).lower().startswith((b"/", b"http://", b"https://")),
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    ),
    "too many parameters": Difference(
        "h11 does not look at the query",
        REFUSED,
        (TAKEN,),
        lambda head: target(head).count(b"&") >= PARAMETERS_MAX,
        b"GET /?" + b"a=b&" * 20 + b" HTTP/1.0\r\n\r\n",
    ),
    "too many headers": Difference(
        "h11 bounds their bytes only",
        REFUSED,
        (TAKEN,),
        lambda head: len(lines(head)) - 1 > HEADERS_MAX,
        GET + b"A: b\r\n" * 64 + b"\r\n",
    ),
    "control character in a value": Difference(
        "RFC 9110 5.5: to be refused, or replaced by a space",
        REFUSED,
        (TAKEN,),
        lambda head: any(re.search(rb"[\x01-\x08\x0b-\x1f\x7f]", line) for line in lines(head)[1:]),
        GET + b"A: \x01\r\n\r\n",
    ),
    "a header that decides, twice": Difference(
        "h11 takes the same length twice, and does not know Authorization: of two users, who is"
        " it?",
        REFUSED,
        (TAKEN,),
        lambda head: any(len(values(head, name)) > 1 for name in (b"content-length", AUTH)),
        GET + b"Authorization: Basic YQ==\r\nAuthorization: Basic Yg==\r\n\r\n",
    ),
    "a body's length": Difference(
        "we read no body: whatever its length is said to be, the connection ends after the answer",
        TAKEN,
        (REFUSED,),
        lambda head: any(not length_is_a_number(each) for each in values(head, b"content-length")),
        GET + b"Content-Length: five\r\n\r\n",
    ),
    "a body's coding": Difference(
        "as above: h11 knows chunked alone",
        TAKEN,
        (REFUSED,),
        lambda head: [each for each in values(head, CODING) if each.lower() != b"chunked"],
        GET + b"Transfer-Encoding: gzip\r\n\r\n",
    ),
}


def named(data: bytes) -> list[str]:
    """Which of `DIFFERENCES` explain what the two make of it."""
    ours, theirs = outcome(answered(data)), outcome(judged(data))
    end = re.search(rb"\n\r?\n", data)
    head = data[: end.end()] if end and not data.startswith(b"\r\n") else data
    return [
        name
        for name, each in DIFFERENCES.items()
        if each.ours == ours and theirs in each.theirs and each.when(head)
    ]


def the_same(ours: Request, theirs: h11.Request) -> bool:
    """Method, path and headers are; of a body h11 writes length and coding its own way."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in theirs.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    for name in ("content-length", "transfer-encoding"):
        assert (name in headers) == (name in ours.headers)
    same = {name: headers[name] for name in headers if not name.startswith(("content-l", "transf"))}
    target = theirs.target.decode("ascii")
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    assert ours.method == theirs.method.decode()
    assert ours.path == unquote(re.split("[?#]", target)[0])
    assert {name: ours.headers[name] for name in same} == same
    assert len(ours.headers) == len(headers)
    assert ours.chunks == (theirs.http_version != b"1.0")
    return True
