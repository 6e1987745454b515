# SPDX-License-Identifier: Apache-2.0
"""Whatever bytes come, a request or a clean refusal comes of them, and nothing else."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from container_oomkill.web.http.request import HEAD_MAX, HttpError, Request, head_end, parse

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
