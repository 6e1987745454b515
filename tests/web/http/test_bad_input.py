# SPDX-License-Identifier: Apache-2.0
"""Clients that are broken, slow, many or hostile: a clean answer, bounded memory, others go on."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading

import pytest

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.web.http import connection, server
from container_oomkill.web.http.listen import Listener, parse_address
from container_oomkill.web.http.request import HEAD_MAX
from container_oomkill.web.http.response import text

from ...support.exporter_process import running
from ...support.http_client import ask, connect, get, make_exporter, read_all
from ...support.slow_clients import fill, is_served, not_reading
from ...support.waiting import eventually

MANY = 10_000


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\nInjected: y\r\n\r\n", 400),
        (b"GET /?" + b"a=b&" * 100 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /metrics HTTP/1.1\nHost: x\n\n", 400),  # no answer would come before the timeout
        (b"GET /metrics HTTP/1.1\r\nHost: x\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /metrics HTTP/9x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
        (b"\0" * 100, 400),
        (b"get /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /" + b"x" * HEAD_MAX + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * HEAD_MAX + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_malformed_requests_get_a_clean_answer(
    exporter: Exporter, request_bytes: bytes, status: int
) -> None:
    answer = ask(exporter.addresses[0], request_bytes)
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert b"Traceback" not in answer.body


def test_a_megabyte_of_header_is_cut_short(exporter: Exporter) -> None:
    with connect(exporter.addresses[0]) as client:
        client.sendall(b"GET / HTTP/1.1\r\nA: ")
        with contextlib.suppress(ConnectionError):  # it need not read all of it
            for _ in range(256):
                client.sendall(b"x" * 4096)
        with contextlib.suppress(ConnectionError):
            assert read_all(client).startswith(b"HTTP/1.1 431 ")
    assert ask(exporter.addresses[0], get()).status == 200


def test_empty_lines_before_a_request_are_ignored(exporter: Exporter) -> None:
    assert ask(exporter.addresses[0], b"\r\n\r\n" + get("/healthz")).status == 200


def test_a_body_is_not_taken_for_the_next_request(exporter: Exporter) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    assert ask(exporter.addresses[0], request + smuggled).body == b"ready\n"


def test_a_request_byte_by_byte(exporter: Exporter) -> None:
    with connect(exporter.addresses[0]) as client:
        for byte in get("/healthz"):
            client.send(bytes([byte]))
        assert read_all(client).endswith(b"ok\n")


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\nHost:"])
def test_half_a_request_is_dropped_in_time(
    monkeypatch: pytest.MonkeyPatch, exporter: Exporter, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    with connect(exporter.addresses[0]) as client:
        client.sendall(sent)
        assert read_all(client) == b""


@pytest.mark.parametrize("more", [b"G", b"GET /metrics HTTP/1.1\r\nHost:", b"\r\n"])
@pytest.mark.parametrize("at_once", [True, False], ids=["with the first", "after the first"])
def test_half_a_second_request_is_dropped_in_time_too(
    monkeypatch: pytest.MonkeyPatch, exporter: Exporter, more: bytes, at_once: bool
) -> None:
    """Whichever request it is, and whenever its first byte came."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 1000.0)
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(exporter.addresses[0]) as client:
        client.sendall(first + more * at_once)
        answer = b""
        while not answer.endswith(b"ok\n"):
            answer += client.recv(4096)
        client.sendall(more * (not at_once))
        assert read_all(client) == b""


def test_idle_connections_are_dropped_in_time(
    monkeypatch: pytest.MonkeyPatch, exporter: Exporter
) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.1)
    with connect(exporter.addresses[0]) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_all(client).endswith(b"ok\n")


def test_clients_that_go_away_do_no_harm(exporter: Exporter) -> None:
    fill(exporter)
    for _ in range(20):
        client = connect(exporter.addresses[0])
        client.sendall(get())
        client.recv(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
        client.close()
    assert ask(exporter.addresses[0], get()).status == 200


def test_one_scrape_too_many_gets_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PREEMPT_SECONDS", 1000.0)
    monkeypatch.setattr(server, "WAIT_SECONDS", 0.2)
    with make_exporter(max_requests=2) as exporter:
        exporter.start()
        fill(exporter)
        with not_reading(exporter, 2):
            answer = ask(exporter.addresses[0], get())
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert ask(exporter.addresses[0], get("/healthz")).status == 200
        eventually(lambda: ask(exporter.addresses[0], get()).status == 200)


def test_clients_that_do_not_read_make_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PREEMPT_SECONDS", 0.2)
    with make_exporter(max_requests=2) as exporter:
        exporter.start()
        fill(exporter)
        with not_reading(exporter, 2):
            eventually(lambda: is_served(exporter))


def test_an_answer_nobody_reads_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(server, "PREEMPT_SECONDS", 1000.0)
    with make_exporter(max_requests=1) as exporter:
        exporter.start()
        fill(exporter)
        with not_reading(exporter, 1):
            eventually(lambda: is_served(exporter))


def test_ten_thousand_idle_connections() -> None:
    """They cost 128 sockets; scrapes go on meanwhile; memory stays where it was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY + 500
    if hard < wanted:
        pytest.fail(f"needs {wanted} open files, the hard limit is {hard}: raise it (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with running() as child, contextlib.ExitStack() as stack:
            address = parse_address(child.address)
            child.tell("kills 100")
            ask(address, get())
            before = child.memory("Anonymous")
            for number in range(MANY):
                idle = stack.enter_context(connect(address))
                if number % 2:
                    idle.send(b"GET")
                if number % 1000 == 0:
                    assert ask(address, get()).status == 200
            assert ask(address, get()).status == 200
            assert child.memory("Anonymous") - before < 4 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_scrape_meanwhile_is_not_dropped_for_newcomers(exporter: Exporter) -> None:
    fill(exporter)
    with contextlib.ExitStack() as stack:
        scraper = stack.enter_context(connect(exporter.addresses[0]))
        scraper.sendall(get())
        body = scraper.recv(4096)
        for _ in range(300):
            stack.enter_context(connect(exporter.addresses[0]))
            body += scraper.recv(4096)
        assert (body + read_all(scraper)).endswith(b"\r\n0\r\n\r\n")


def test_a_bug_in_an_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with make_exporter() as exporter:
        exporter.start()
        monkeypatch.setattr(exporter.metrics, "moment", lambda **_: 1 / 0)
        answer = ask(exporter.addresses[0], get("/metrics"))
        assert (answer.status, answer.body) == (500, b"internal error\n")
        assert ask(exporter.addresses[0], get("/healthz")).status == 200
    error = capfd.readouterr().err
    assert error == "container-oomkill: request failed: ZeroDivisionError: division by zero\n"


def test_a_bug_in_the_thread_for_jobs_ends_it_all() -> None:
    """Whoever asked would wait for ever, and nothing would say so."""
    with contextlib.closing(Listener(parse_address("127.0.0.1:0"))) as listener:

        def refused() -> None:
            if threading.current_thread().name == "web-jobs":
                raise OSError(1, "drop the capabilities: operation not permitted")

        served = server.Server([listener], lambda _: lambda: text(200, "done"), before=refused)
        served.start()
        with connect(listener.bound) as client:
            client.sendall(get())
            assert read_all(client) == b""
        served.close()
        assert isinstance(served.worker.failure, OSError)
