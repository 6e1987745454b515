# SPDX-License-Identifier: Apache-2.0
"""bench.scale's nodes go on whatever becomes of one scrape; docs/scale.md has their numbers."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from bench.scale import Nodes, page, series_of

from ..support.waiting import PATIENCE_SECONDS

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n"
DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"
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
            with socket.create_connection((address, int(port)), timeout=PATIENCE_SECONDS) as client:
                client.sendall(REQUEST)
                answer = b""
                while not answer.endswith(text):
                    got = client.recv(4096)
                    assert got
                    answer += got


def test_the_document_has_the_numbers_of_the_page() -> None:
    """A metric more, and docs/scale.md is to be measured anew: python -m bench.scale."""
    own = series_of(page(0, 0, 0))
    known = (series_of(page(0, 20, 0)) - series_of(page(0, 10, 0))) / 10
    namespace = series_of(page(0, 10, 0)) - 10 * known - own
    killed = (series_of(page(0, 10, 10)) - series_of(page(0, 10, 0))) / 10
    formula = (
        f"= {own} + {namespace:g} x namespaces + {known:g} x known containers "
        f"+ {killed:g} x containers killed"
    )
    assert formula in DOCUMENT.read_text(encoding="utf-8")
