# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes come, a request or a clean refusal comes of them; h11 is the judge.

Where the two differ is a row of `DIFFERENCES`, with the reason; any other difference fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from container_oomkill.web.http.request import (
    HEAD_MAX,
    HEADERS_MAX,
    PARAMETERS_MAX,
    HttpError,
    Request,
    head_end,
    parse,
)

LINES = st.lists(
    st.sampled_from(
        [
            b"GET / HTTP/1.1",
            b"GET http://h/metrics?a=1&b=%ff HTTP/1.0",
            b"Host: h",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            b"Connection: keep-alive, close",
            b"Accept-Encoding: gzip;q=0",
        ]
    )
    | st.binary(max_size=64)
).map(b"\r\n".join)


@given(LINES | st.binary())
@example(b"GET / HTTP/1.1\r\nHost: h")
@example(b"A" * HEAD_MAX)
def test_any_bytes(data: bytes) -> None:
    for head in (data, data + b"\r\n\r\n"):
        request = answered(head)
        if isinstance(request, Request):
            assert request.path.startswith("/")
            assert not request.keep_alive or "transfer-encoding" not in request.headers
            assert all(name == name.lower() for name in request.headers)
        else:
            assert request in (None, 400, 414, 431, 505)


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


def mostly(usual: list[bytes], others: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of the usual, nine times in ten: else hardly a whole request would be right."""
    few = st.sampled_from(others)
    return st.integers(0, 9).flatmap(lambda n: few if n == 9 else st.sampled_from(usual))


METHOD = mostly([b"GET", b"HEAD", b"OPTIONS"], [b"get", b"G!", b""])
TARGET = mostly(
    [b"/", b"/metrics?a=1&b=%ff", b"http://h/x", b"/%e4%0a"],
    [b"*", b"h:1", b"/\xe4", b"/?" + b"&" * 20, b""],
)
VERSION = mostly([b"HTTP/1.1", b"HTTP/1.0"], [b"HTTP/2.0", b"HTTP/1.2", b"HTTP/1.1 ", b""])
HEADER = st.tuples(
    mostly([b"A", b"Connection", b"b"], [b"A ", b" A", b"", b"\xe4", b"A\0"]),
    mostly([b":", b": "], [b" :", b""]),
    mostly([b"h", b"", b"a b ", b"\ta\t", b"close"], [b"\xa0h\x85", b"\x01", b"a\rb", b"\0"]),
).map(b"".join)
DECIDING = st.tuples(
    st.sampled_from([b"host", b"Content-Length", b"Transfer-Encoding", b"Authorization"]),
    st.just(b": "),
    st.sampled_from([b"5", b"0", b"5, 5", b"5, 6", b"+5", b"chunked", b"Chunked ", b"gzip"]),
).map(b"".join)
SPACE = mostly([b" "], [b"  ", b"\t", b""])
END = mostly([b"\r\n"], [b"\r\n", b"\n", b"\r", b"\r\r\n"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Mostly whole requests; some with a few bytes changed, some cut."""
    line = draw(METHOD) + draw(SPACE) + draw(TARGET) + draw(SPACE) + draw(VERSION)
    headers = [draw(mostly([b"Host: h"], [b"A: b"])), *draw(st.lists(HEADER, max_size=2))]
    headers += draw(st.lists(DECIDING, max_size=2))
    data = draw(mostly([b""], [b"\r\n", b"\n", b"\r"]))
    for each in (line, *headers, b""):
        data += each + draw(END)
    if draw(st.integers(0, 3)) == 3:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 2)) :]
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 7)) == 7 else data


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


@given(requests() | LINES.map(lambda data: data + b"\r\n\r\n") | st.binary())
@settings(max_examples=1000)
@example(b"GET /\xe4 HTTP/1.1\r\nHost: h\r\n\r\n")
@example(GET + b"A: \xa0b\x85\r\n\r\n")
@example(b"GET / HTTP/1.2\r\n\r\n")
@example(b"A" * HEAD_MAX)
def test_h11_is_the_judge(data: bytes) -> None:
    ours, theirs = answered(data), judged(data)
    if outcome(ours) != outcome(theirs):
        assert named(data), f"we: {ours}, h11: {theirs}"
    if isinstance(ours, Request) and isinstance(theirs, h11.Request):
        assert the_same(ours, theirs)


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


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_there(name: str) -> None:
    """None is listed that is none: its own bytes show it."""
    assert name in named(DIFFERENCES[name].shown)
