# SPDX-License-Identifier: Apache-2.0
"""Who goes first, and who has to go, where there is not room for all: by who they come from."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable, Sequence

from .connection import Connection

MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address in IPv6: RFC 4291, 2.5.5.2


def peer_of(sock: socket.socket) -> bytes:
    """Return what one client has one of: its IPv4 address, its IPv6 network, a unix socket."""
    try:
        host = str(sock.getpeername()[0]).partition("%")[0] if sock.family != socket.AF_UNIX else ""
        packed = socket.inet_pton(sock.family, host) if host else b""
    except OSError:  # it is gone
        return b""
    if packed.startswith(MAPPED):
        return packed[len(MAPPED) :]
    return packed[:8]  # of IPv6 a client has a /64


def of_busiest(clients: Sequence[Connection]) -> Connection:
    """Return the first of those that come from where most come from."""
    counts = Counter(client.peer for client in clients)
    return max(clients, key=lambda client: counts[client.peer])


def of_least_busy(waiting: Sequence[Connection], served: Iterable[Connection]) -> Connection:
    """Return the first of those from where the fewest are being served."""
    counts = Counter(client.peer for client in served)
    return min(waiting, key=lambda client: counts[client.peer])
