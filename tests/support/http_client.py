# SPDX-License-Identifier: Apache-2.0
"""A client that sends bytes as they are given, and a server to send them to."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from typing import Any

from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.web.http.listen import Address

from .incidents import FakeProbe
from .waiting import PATIENCE_SECONDS


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def make_exporter(*, watched_since: float | None = None, **settings: Any) -> Exporter:
    """On a free port of the loopback interface unless told otherwise; not started."""
    values: dict[str, Any] = {"listen_addresses": ("127.0.0.1:0",)}
    return Exporter(
        ExporterSettings(**(values | settings)),
        FakeProbe(),
        version="1.2.3",
        render=lambda incident: json.dumps(asdict(incident)),
        watched_since=watched_since,
    )


def connect(address: Address) -> socket.socket:
    if address.path:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE_SECONDS)
        client.connect(address.path)
        return client
    return socket.create_connection((address.host, address.port), PATIENCE_SECONDS)


def get(path: str = "/metrics", *headers: str, method: str = "GET") -> bytes:
    """A request that ends the connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def ask(address: Address, request: bytes) -> Answer:
    """Send, read to the end, parse."""
    with connect(address) as client:
        client.sendall(request)
        return parse(read_all(client))


def read_all(client: socket.socket) -> bytes:
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def parse(data: bytes) -> Answer:
    answers = parse_all(data)
    assert len(answers) == 1, data
    return answers[0]


def parse_all(data: bytes) -> list[Answer]:
    """Take apart what came on one connection, strictly."""
    answers = []
    while data:
        head, found, data = data.partition(b"\r\n\r\n")
        assert found, head
        status, *lines = head.decode("latin-1").split("\r\n")
        assert status.startswith("HTTP/1.1 ")
        headers = {name.lower(): value for name, _, value in (li.partition(": ") for li in lines)}
        if "content-length" in headers:
            size = int(headers["content-length"])
            body, data = data[:size], data[size:]
        elif headers.get("transfer-encoding") == "chunked":
            body, data = _dechunk(data)
        else:
            body, data = data, b""
        answers.append(Answer(int(status.split()[1]), headers, body))
    return answers


def _dechunk(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size_text, found, data = data.partition(b"\r\n")
        assert found
        size = int(size_text, 16)
        body += data[:size]
        assert data[size : size + 2] == b"\r\n"
        data = data[size + 2 :]
        if not size:
            return body, data
