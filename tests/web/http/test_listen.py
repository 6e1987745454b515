# SPDX-License-Identifier: Apache-2.0
"""Addresses: IPv4, IPv6, unix sockets, and what is wrong with others."""

from __future__ import annotations

import contextlib
import errno
import socket
import stat
import threading
from pathlib import Path

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.web.http.listen import Address, Listener, parse_address

from ...support.http_client import ask, connect, get, make_exporter
from ...support.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9262", Address("", 9262)),
        ("127.0.0.1:9262", Address("127.0.0.1", 9262)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:9262", Address("::1", 9262)),
        ("unix:/run/x.sock", Address(path="/run/x.sock")),
    ],
)
def test_addresses_are_read_and_written_alike(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9262",
        "localhost",
        "localhost:",
        ":http",
        ":-1",
        ":65536",
        ":" + "9" * 5000,
        "::1:9262",
        "[::1]",
        "unix:",
        "unix:relative",
        "hôst:1",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--web\.listen-address "):
        parse_address(text)


def test_a_port_that_is_too_high_is_told_so() -> None:
    with pytest.raises(
        UsageError, match=r"^--web\.listen-address :99999: the highest port is 65535$"
    ):
        parse_address(":99999")


def test_several_at_once_and_all_interfaces(tmp_path: Path) -> None:
    path = tmp_path / "exporter.sock"
    addresses = ("127.0.0.1:0,[::1]:0", f"unix:{path}", ":0")
    with make_exporter(listen_addresses=addresses) as exporter:
        exporter.start()
        four, six, unix, everywhere = exporter.addresses
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        for address in (four, six, unix):
            assert ask(address, get("/healthz")).body == b"ok\n"
        for host in ("127.0.0.1", "::1"):
            assert ask(Address(host, everywhere.port), get("/healthz")).status == 200
    assert not path.exists()
    with pytest.raises(ConnectionRefusedError):
        ask(four, get())


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"^listen on {text}: address already in use$"):
            make_exporter(listen_addresses=("127.0.0.1:0", text)).start()


def test_an_address_of_somebody_else() -> None:
    with pytest.raises(UsageError, match=r"^listen on 192\.0\.2\.1:0: cannot assign"):
        Listener(Address("192.0.2.1", 0))


def test_a_name_nobody_knows() -> None:
    with pytest.raises(UsageError, match=r"^listen on nowhere\.invalid:0: "):
        Listener(Address("nowhere.invalid", 0))


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    Listener(Address(path=str(path))).close()
    assert not path.exists()


def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    address = Address(path=str(tmp_path / "x.sock"))
    first = Listener(address)
    with pytest.raises(UsageError, match="address already in use"):
        Listener(address)
    first.close()


def test_a_socket_whose_owner_is_stuck_holds_up_nobody(tmp_path: Path) -> None:
    """It takes no connection any more, and as many wait as there is room for."""
    path = tmp_path / "x.sock"
    with contextlib.ExitStack() as stack:
        stuck = stack.enter_context(socket.socket(socket.AF_UNIX))
        stuck.bind(str(path))
        stuck.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(path))
        with pytest.raises(UsageError, match="address already in use"):
            Listener(Address(path=str(path)))
    assert path.exists()


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(UsageError, match="is not a socket"):
        Listener(Address(path=str(path)))
    assert path.read_text() == "data"


@pytest.mark.parametrize("path", ["/nonexistent/x.sock", "/" + "x" * 200])
def test_a_path_that_cannot_be(path: str) -> None:
    with pytest.raises(UsageError, match=r"^listen on unix:/"):
        Listener(Address(path=path))


def test_no_memory_for_clients_of_two_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are found readable in one turn, and neither client can be let in for a while."""
    accept, both, refusals = socket.socket.accept, threading.Event(), 4

    def refused(listening: socket.socket) -> tuple[socket.socket, object]:
        nonlocal refusals
        if not both.wait(PATIENCE_SECONDS):
            raise AssertionError("never")
        if refusals == 4:
            refusals -= 1
            raise BlockingIOError
        if refusals:
            refusals -= 1
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return accept(listening)

    with make_exporter(listen_addresses=("127.0.0.1:0", "127.0.0.1:0")) as exporter:
        monkeypatch.setattr(socket.socket, "accept", refused)
        exporter.start()
        clients = [connect(each) for each in exporter.addresses]
        both.set()  # the server was in the middle of the first one's turn
        for each in exporter.addresses:
            assert ask(each, get("/healthz")).status == 200
        for client in clients:
            client.close()
