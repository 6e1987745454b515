# SPDX-License-Identifier: Apache-2.0
"""An HTTP server on the loopback interface, with TLS or without, that fails as it is told.

It does what `answers` says, one for each request, then answers 200 with an empty object.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

RESET = struct.pack("ii", 1, 0)  # linger, for no time: closing is a reset


@dataclass(frozen=True)
class Got:
    """A request, its body unpacked."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    answered: int  # status; 0: none

    def json(self) -> Any:
        return json.loads(self.body)

    def records(self) -> list[dict[str, Any]]:
        """The LogRecords of an OTLP request."""
        return [
            record
            for each in self.json()["resourceLogs"]
            for scope in each["scopeLogs"]
            for record in scope["logRecords"]
        ]


Answer = Callable[["Handler"], int]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.body, self.noted = body, False
        with suppress(OSError):
            self.receiver.next_answer()(self)
        self.note(0)

    def note(self, status: int) -> None:
        """Before the answer: whoever has it finds the request here. The first one counts."""
        if not self.noted:
            self.noted = True
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.receiver.got.append(Got(self.path, headers, self.body, status))

    def give(self, status: int, body: bytes = b"", **headers: str) -> int:
        self.note(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return status

    def raw(self, data: bytes) -> int:
        """Send these bytes, then hang up."""
        self.wfile.write(data)
        self.wfile.flush()
        self.close_connection = True
        return 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    return lambda handler: handler.give(code, body, **headers)


def partial(rejected: object, words: str = "too old") -> Answer:
    said = {"partialSuccess": {"rejectedLogRecords": rejected, "errorMessage": words}}
    return status(200, json.dumps(said).encode(), Content_Type="application/json")


def hang_up(handler: Handler) -> int:
    return handler.raw(b"")


def reset(handler: Handler) -> int:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    handler.close_connection = True
    socket.socket.close(handler.connection)
    return 0


def nonsense(handler: Handler) -> int:
    return handler.raw(b"\x16\x03\x01 this is no HTTP\r\n\r\n")


def cut_short(handler: Handler) -> int:
    return handler.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def cut_short_in_its_head(handler: Handler) -> int:
    """The client has the status by then."""
    return handler.raw(b"HTTP/1.1 200 OK\r\nContent-Le")


def never(handler: Handler) -> int:
    """Say nothing until the client has had enough."""
    handler.connection.settimeout(60)
    handler.connection.recv(1)
    handler.close_connection = True
    return 0


def drip(handler: Handler) -> int:
    """A byte now and then: no single wait is long."""
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.02)
    return 0


def endless(handler: Handler) -> int:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    handler.close_connection = True
    while True:
        handler.wfile.write(b" " * 65536)


# What may be over soon: nothing is wrong with what was sent.
RETRIED: dict[str, Answer] = {
    "429": status(429, Retry_After="0"),
    "502": status(502, b"<html>bad gateway</html>"),
    "503": status(503),
    "504": status(504),
    "500": status(500),
    "wrong path": status(404, b"404 page not found"),
    "wrong token": status(401),
    "wrong method": status(405),
    "a redirect": status(302, Location="http://127.0.0.1:9/"),
    "hangs up": hang_up,
    "resets": reset,
    "no HTTP": nonsense,
    "cut short": cut_short,
    "cut short in its head": cut_short_in_its_head,
    "without an end": endless,
}
# An answer of 200 says that it was taken; OTLP has a body to tell that it was.
NO_OTLP: Answer = status(200, b"<!doctype html><p>It works!")


class Receiver:
    """A context manager. ``answers``: what to do with the next requests."""

    def __init__(
        self,
        *answers: Answer,
        certificate: Path | None = None,
        client_ca: Path | None = None,
        port: int = 0,
    ) -> None:
        """``certificate``: NAME.pem, with NAME.key beside it: TLS."""
        self.answers = deque(answers)
        self.otherwise: Answer = status(200, b"{}", Content_Type="application/json")
        self.got: list[Got] = []
        self._lock = threading.Lock()
        handler = type("Bound", (Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.scheme = "http"
        if certificate is not None:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            if client_ca is not None:
                context.load_verify_locations(client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            # In the thread of the connection, or one that says nothing would keep out all others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign] # clients that go
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver")

    def next_answer(self) -> Answer:
        with self._lock:
            return self.answers.popleft() if self.answers else self.otherwise

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def records(self) -> list[dict[str, Any]]:
        """The LogRecords that it has answered with 200, in order."""
        return [record for got in list(self.got) if got.answered == 200 for record in got.records()]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        """Leave the port to the next one."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def __exit__(self, *_: object) -> None:
        self.close()


def attributes(record: dict[str, Any]) -> dict[str, Any]:
    """Of a LogRecord or a resource, by key."""
    return {each["key"]: _plain(each["value"]) for each in record["attributes"]}


def _plain(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "intValue":
        return int(content)
    if kind == "arrayValue":
        return [_plain(each) for each in content["values"]]
    return content
