# SPDX-License-Identifier: Apache-2.0
"""Where `show` finds the exporter that runs here: in trees of processes, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_oomkill.cli.running_exporter import DEFAULT, find_exporter
from container_oomkill.errors import UsageError

PYTHON = ("/usr/bin/python3.13", "-IS", "/usr/bin/container-oomkill")


@pytest.fixture
def port() -> Iterator[int]:
    """One that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def runs(proc: Path, pid: int, *argv: str, **environ: str) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "cmdline").write_bytes(b"".join(each.encode() + b"\0" for each in argv))
    given = b"".join(f"{name}={value}\0".encode() for name, value in environ.items())
    (folder / "environ").write_bytes(given)


def test_by_its_arguments(tmp_path: Path, port: int) -> None:
    runs(tmp_path, 7, "vim", "container-oomkill", "exporter")
    runs(tmp_path, 8, *PYTHON, "probe", f"--web.listen-address=127.0.0.1:{port}")
    runs(tmp_path, 9, *PYTHON, "exporter", "--web.listen-address", "127.0.0.1:1")
    (tmp_path / "10").mkdir()  # has ended
    runs(tmp_path, 11, *PYTHON, "exporter", "--node=x", f"--web.listen-address=:{port}")
    assert find_exporter(str(tmp_path), {}) == f"http://127.0.0.1:{port}"


def test_started_as_a_module_and_by_its_variables(tmp_path: Path, port: int) -> None:
    variables = {"CONTAINER_OOMKILL_WEB_LISTEN_ADDRESS": f"127.0.0.1:0,0.0.0.0:{port}"}
    runs(tmp_path, 9, "python3", "-m", "container_oomkill", "exporter", **variables)
    assert find_exporter(str(tmp_path), {}) == f"http://127.0.0.1:{port}"


def test_by_the_variables_of_its_container(tmp_path: Path, port: int) -> None:
    """As `docker exec` gives them, and nobody else's are to be read."""
    variables = {"CONTAINER_OOMKILL_WEB_LISTEN_ADDRESS": f"127.0.0.1:{port}"}
    assert find_exporter(str(tmp_path), variables) == f"http://127.0.0.1:{port}"


def test_behind_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        proc = tmp_path / "proc"
        proc.mkdir()
        runs(proc, 1, *PYTHON, "exporter", "--web.listen-address", f"unix:{path}")
        assert find_exporter(str(proc), {}) == f"unix:{path}"


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:1", ":0", "[::1]:1", "unix:/nowhere"])
def test_where_none_answers_the_usual_address_is_tried(tmp_path: Path, address: str) -> None:
    runs(tmp_path, 9, *PYTHON, "exporter", "--web.listen-address", address)
    assert find_exporter(str(tmp_path), {}) == DEFAULT
    assert find_exporter(str(tmp_path / "nowhere"), {}) == DEFAULT


def test_one_that_may_ask_who_you_are(tmp_path: Path, port: int) -> None:
    listen = f"--web.listen-address=127.0.0.1:{port}"
    runs(tmp_path, 9, *PYTHON, "exporter", listen, "--web.config.file", "/etc/web.yml")
    with pytest.raises(UsageError, match=f"127.0.0.1:{port} has a --web.config.file: pass --url"):
        find_exporter(str(tmp_path), {})
