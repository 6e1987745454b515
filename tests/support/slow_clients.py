# SPDX-License-Identifier: Apache-2.0
"""Clients that ask and do not read, and a page that is too large for the kernel to take at once."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from container_oomkill.exporter.exporter import Exporter

from .http_client import connect, get, read_all
from .incidents import container, incident


def fill(exporter: Exporter) -> None:
    """Make the page larger than what the kernel buffers for a client."""
    for number in range(500):
        exporter.sink(incident(number, container=container(f"app-{number}" + "x" * 200)))


@contextlib.contextmanager
def not_reading(exporter: Exporter, clients: int) -> Iterator[None]:
    """So many clients have asked for the page and read nothing."""
    with contextlib.ExitStack() as stack:
        for _ in range(clients):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", exporter.addresses[0].port))
            client.sendall(get())
            assert client.recv(1)
        yield


def is_served(exporter: Exporter) -> bool:
    """Whether the page comes, whole: on a busy machine this client may be too slow itself."""
    try:
        with connect(exporter.addresses[0]) as client:
            client.sendall(get())
            data = read_all(client)
    except ConnectionError:
        return False
    return data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n0\r\n\r\n")
