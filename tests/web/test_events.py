# SPDX-License-Identifier: Apache-2.0
"""The stream of changes: who follows it hears of every kill at once, and holds up nobody."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.web.http import connection

from ..support.event_stream import STREAMS, follow
from ..support.http_client import ask, connect, get, make_exporter, read_all
from ..support.incidents import incident
from ..support.waiting import eventually


def test_a_kill_is_news(exporter: Exporter) -> None:
    with follow(exporter) as one, follow(exporter) as other:
        for number in (1, 2, 3):
            exporter.sink(incident(number))
            for client in (one, other):
                assert b"event: incident\n" in client.hear(f"-{number}\n\n".encode())


def test_what_came_meanwhile_is_told_at_once(exporter: Exporter) -> None:
    exporter.sink(incident(1))
    exporter.sink(incident(2))
    with follow(exporter, f"/events?after={incident(1).id}") as client:
        client.hear(f"data: {incident(2).id}\n\n".encode())
    with follow(exporter, "/events?after=", f"Last-Event-ID: {incident(1).id}") as client:
        client.hear(f"id: {incident(2).id}\n".encode())


def test_silence_has_a_beat(monkeypatch: pytest.MonkeyPatch, exporter: Exporter) -> None:
    monkeypatch.setattr(connection, "HEARTBEAT_SECONDS", 0.05)
    with follow(exporter) as client:
        client.hear(b": nothing new\n\n")
        client.hear(b": nothing new\n\n")


def test_streams_are_bounded_and_cost_no_thread(exporter: Exporter) -> None:
    threads = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(STREAMS):
            stack.enter_context(follow(exporter))
        assert threading.active_count() == threads
        refused = ask(exporter.addresses[0], get("/events"))
        assert refused.status == 503
        assert ask(exporter.addresses[0], get("/")).status == 200
    eventually(lambda: try_to_follow(exporter))


def try_to_follow(exporter: Exporter) -> bool:
    with connect(exporter.addresses[0]) as client:
        client.sendall(get("/events"))
        return client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_head_is_no_stream(exporter: Exporter) -> None:
    for _ in range(STREAMS + 1):
        with connect(exporter.addresses[0]) as client:
            client.sendall(get("/events", method="HEAD"))
            assert read_all(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(connection, "HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.2)
    path = tmp_path / "socket"  # a pair of Unix sockets holds less than TCP
    with make_exporter(listen_addresses=(f"unix:{path}",)) as exporter:
        exporter.start()
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(connect(exporter.addresses[0])) for _ in range(STREAMS)]
            for client in slow:
                client.sendall(get("/events"))
            eventually(lambda: try_to_follow(exporter))


def test_a_client_that_talks_into_its_stream_is_dropped(exporter: Exporter) -> None:
    with follow(exporter) as client, contextlib.suppress(ConnectionError):
        for _ in range(64):
            client.socket.sendall(b"x" * 4096)
        while client.socket.recv(4096):
            pass
