# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes come, a request or a clean refusal comes of them; h11 is the judge.

Where the two differ is a row of `DIFFERENCES`, with the reason; any other difference fails.
"""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from container_oomkill.web.http.request import HEAD_MAX, Request

from ...support.http_judge import DIFFERENCES, GET, answered, judged, named, outcome, the_same

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


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_there(name: str) -> None:
    """None is listed that is none: its own bytes show it."""
    assert name in named(DIFFERENCES[name].shown)
