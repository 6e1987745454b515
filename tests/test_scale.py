# SPDX-License-Identifier: Apache-2.0
"""The simulated nodes of bench.scale go on whatever becomes of one scrape."""

from __future__ import annotations

import socket
import struct

from bench.scale import Nodes

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # linger, for no time: closing is a reset


def test_a_scrape_that_is_given_up_ends_no_node() -> None:
    with Nodes([b"one", b"two"], port=0) as nodes:
        address, _, port = nodes.targets[0].partition(":")
        for _ in range(3):
            hasty = socket.create_connection((address, int(port)))
            hasty.sendall(REQUEST)
            hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            hasty.close()
        for target, text in zip(nodes.targets, (b"one", b"two"), strict=True):
            address, _, port = target.partition(":")
            with socket.create_connection((address, int(port)), timeout=20) as client:
                client.sendall(REQUEST)
                answer = b""
                while not answer.endswith(text):
                    got = client.recv(4096)
                    assert got
                    answer += got
