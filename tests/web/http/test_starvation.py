# SPDX-License-Identifier: Apache-2.0
"""Busy clients and slow ones, without authentication: none of them costs another its answer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.metrics.metrics import Moment
from container_oomkill.web.http import server
from container_oomkill.web.http.fair import of_busiest, of_least_busy
from container_oomkill.web.page import views

from ...support.event_stream import STREAMS, follow
from ...support.http_client import ask, connect, get
from ...support.slow_clients import fill, is_served, not_reading
from ...support.waiting import eventually

HAMMERING, SLOW = 16, 8


@contextlib.contextmanager
def hammering(exporter: Exporter, path: str) -> Iterator[Counter[int]]:
    """Clients that ask again as soon as they are answered; yields the statuses they get."""
    statuses: Counter[int] = Counter()
    end = threading.Event()

    def hammer() -> None:
        while not end.is_set():
            statuses[ask(exporter.addresses[0], get(path, "Accept-Encoding: gzip")).status] += 1

    threads = [threading.Thread(target=hammer) for _ in range(HAMMERING)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        end.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/incidents"])
def test_busy_and_slow_clients_cost_nobody_a_scrape(exporter: Exporter, path: str) -> None:
    fill(exporter)
    with not_reading(exporter, SLOW), hammering(exporter, path) as statuses:
        for _ in range(10):
            answer = ask(exporter.addresses[0], get("/metrics", "Accept-Encoding: gzip"))
            assert answer.status == 200
        eventually(lambda: statuses[200] > HAMMERING)
    if path == "/metrics":  # each of the others makes its own answer: they may wait in vain
        assert set(statuses) == {200}


def test_a_page_is_made_once_for_all_who_wait(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    moment = exporter.metrics.moment

    def slowly(*, created: bool, known: int | None) -> Moment:
        made.append(created)
        time.sleep(0.2)  # meanwhile all the others have asked
        return moment(created=created, known=known)

    monkeypatch.setattr(exporter.metrics, "moment", slowly)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(exporter.addresses[0])) for _ in range(HAMMERING)]
        for client in clients:
            client.sendall(get())
        for client in clients:
            assert client.recv(15) == b"HTTP/1.1 200 OK"
    assert 1 <= len(made) <= HAMMERING // 2


def test_who_reads_a_little_now_and_then_makes_way(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte taken was a sign of life; what counts is how long a client is waited for.

    In all: that is longer here than between two bytes, and shorter than the newcomer waits.
    """
    monkeypatch.setattr(server, "PREEMPT_SECONDS", 0.5 * server.WAIT_SECONDS)
    fill(exporter)
    begun = threading.Semaphore(0)
    end = threading.Event()

    def trickle() -> None:
        with contextlib.suppress(OSError), connect(exporter.addresses[0]) as client:
            client.setsockopt(1, 8, 4096)  # SOL_SOCKET, SO_RCVBUF
            client.sendall(get())
            client.recv(1)
            begun.release()
            # So much that the kernel takes more of the answer a few times in a second.
            while not end.wait(0.02) and client.recv(1 << 14):
                pass

    threads = [threading.Thread(target=trickle) for _ in range(SLOW)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            begun.acquire()
        assert is_served(exporter)
    finally:
        end.set()
        for thread in threads:
            thread.join()


def test_streams_that_are_not_read_end(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes megabytes for a client that reads none: only time tells."""
    monkeypatch.setattr(views, "STREAM_SECONDS", 0.3)
    monkeypatch.setattr("container_oomkill.web.http.connection.HEARTBEAT_SECONDS", 0.1)
    with contextlib.ExitStack() as stack:
        for _ in range(STREAMS):
            client = stack.enter_context(connect(exporter.addresses[0]))
            client.sendall(get("/events"))

        def follows() -> bool:
            with contextlib.suppress(AssertionError), follow(exporter):
                return True
            return False

        eventually(follows)


class Client:
    def __init__(self, peer: bytes) -> None:
        self.peer = peer


def test_who_makes_way_and_who_goes_first() -> None:
    one, two, other = Client(b"a"), Client(b"a"), Client(b"b")
    assert of_busiest([other, one, two]) is one  # type: ignore[list-item, comparison-overlap]
    assert of_busiest([other, one]) is other  # type: ignore[list-item, comparison-overlap]
    assert of_least_busy([one, other], [two]) is other  # type: ignore[list-item, comparison-overlap]
