# SPDX-License-Identifier: Apache-2.0
"""A client of /events."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from container_oomkill.exporter.exporter import Exporter

from .http_client import connect, get

STREAMS = 16  # at once; one more is refused


class Follower:
    """A client of the stream; what came with other words is kept for later."""

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self._heard = b""

    def hear(self, words: bytes) -> bytes:
        """Read up to ``words``."""
        while words not in self._heard:
            piece = self.socket.recv(4096)
            assert piece, self._heard
            self._heard += piece
        before, _, self._heard = self._heard.partition(words)
        return before + words


@contextlib.contextmanager
def follow(exporter: Exporter, path: str = "/events", *headers: str) -> Iterator[Follower]:
    """A client that has heard the stream's first words."""
    with connect(exporter.addresses[0]) as client:
        client.sendall(get(path, *headers))
        follower = Follower(client)
        head = follower.hear(b"retry: 2000\n\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
        assert b"Content-Type: text/event-stream\r\n" in head
        yield follower
