# SPDX-License-Identifier: Apache-2.0
"""Clients that ask all the time, read slowly or not at all, and send half a request."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from .http_client import get

HAMMERING, SLOW, STREAMS, HALF = 16, 8, 16, 8


def clients(address: str, going: Callable[[], bool]) -> list[Callable[[], None]]:
    """Return what each of them does once, for as long as they are ``going`` at most."""
    host, port = address.rsplit(":", 1)

    def connected() -> socket.socket:
        return socket.create_connection((host, int(port)), 10)

    def hammer() -> None:
        with connected() as client:
            client.sendall(get("/metrics"))
            while client.recv(65536):
                pass

    def trickle() -> None:
        with connected() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(get("/api/v1/incidents"))
            while going() and client.recv(16):
                time.sleep(0.2)

    def stream() -> None:
        with connected() as client:
            client.sendall(get("/events"))
            for _ in range(20 * going()):
                time.sleep(going())

    def half() -> None:
        with connected() as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /")
            while client.recv(4096):
                pass

    return [*[hammer] * HAMMERING, *[trickle] * SLOW, *[stream] * STREAMS, *[half] * HALF]
