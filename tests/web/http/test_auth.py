# SPDX-License-Identifier: Apache-2.0
"""Basic authentication from a file."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.exporter.exporter import Exporter
from container_oomkill.web.http import auth
from container_oomkill.web.http.auth import BasicAuth, PasswordHash

from ...support.http_client import ask, connect, get, make_exporter, parse_all, read_all

QUICK = auth.ROUNDS_MIN
PATHS = (
    "/metrics",
    "/",
    "/incidents",
    "/incidents/1-1",
    "/incidents/1-1.json",
    "/events",
    "/docs/verdicts.md",
    "/assets/page.css",
    "/api/v1/incidents",
    "/nothing",
)


def basic(name: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exporter]:
    monkeypatch.setattr(PasswordHash.of.__func__, "__kwdefaults__", {"rounds": QUICK})  # type: ignore[attr-defined]
    users = tmp_path / "users"
    users.write_text(
        "# who may scrape\n\n"
        f"prometheus:{PasswordHash.of('päss:word'.encode())}\n"
        f"human:{PasswordHash.of(b'x')}\n"
    )
    with make_exporter(basic_auth_file=str(users)) as running:
        running.start()
        running.ready(True)
        yield running


def test_the_right_password_passes_again_and_again(exporter: Exporter) -> None:
    for _ in range(3):
        answer = ask(exporter.addresses[0], get("/metrics", basic("prometheus", "päss:word")))
        assert answer.status == 200
    assert ask(exporter.addresses[0], get("/", basic("human", "x"))).status == 200


@pytest.mark.parametrize(
    "header",
    [
        "X: y",
        basic("prometheus", "wrong"),
        basic("nobody", "päss:word"),
        basic("", ""),
        "Authorization: Basic",
        "Authorization: Basic !!!!",
        "Authorization: Basic " + base64.b64encode(b"\xff\xfe").decode(),
        "Authorization: Bearer abc",
        "Authorization: Basic \xe4\xf6",
    ],
)
def test_others_do_not(exporter: Exporter, header: str) -> None:
    for path in PATHS:
        answer = ask(exporter.addresses[0], get(path, header))
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


def test_health_is_open(exporter: Exporter) -> None:
    assert ask(exporter.addresses[0], get("/healthz")).status == 200
    assert ask(exporter.addresses[0], get("/readyz")).status == 200


def test_requests_after_one_that_waits_keep_their_order(exporter: Exporter) -> None:
    wrong = f"GET / HTTP/1.1\r\nHost: x\r\n{basic('human', 'y')}\r\n\r\n".encode()
    with connect(exporter.addresses[0]) as client:
        client.sendall(wrong + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + get("/nothing"))
        answers = parse_all(read_all(client))
    assert [answer.status for answer in answers] == [401, 200, 401]


def test_a_client_that_does_not_wait_for_its_answer(exporter: Exporter) -> None:
    for _ in range(20):
        with connect(exporter.addresses[0]) as client:
            client.sendall(get("/", basic("human", "wrong")))
    answer = ask(exporter.addresses[0], get("/", basic("human", "x")))
    assert answer.status in (200, 503)
    assert ask(exporter.addresses[0], get("/healthz")).status == 200


def test_what_passed_is_remembered_within_bounds() -> None:
    checker = BasicAuth({"a": PasswordHash.of(b"x", rounds=QUICK)})
    headers = [f"Basic{' ' * spaces}{base64.b64encode(b'a:x').decode()}" for spaces in range(1, 9)]
    for header in headers:
        assert not checker.knows(header)
        assert checker.check(header)
        assert checker.knows(header)
    assert len(checker._passed) <= auth.REMEMBERED_PER_USER


def test_hash_is_read_as_written() -> None:
    written = PasswordHash.of(b"secret", rounds=QUICK)
    assert PasswordHash.parse(str(written)) == written
    assert written.fits(b"secret")
    assert not written.fits(b"Secret")


def test_hash_of_passlib() -> None:
    """The example of passlib's documentation of pbkdf2_sha256."""
    salt, digest = "N2YMIWQsBWBMae09x1jrPQ", "1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk"
    assert PasswordHash.parse(f"$pbkdf2-sha256$29000${salt}${digest}").fits(b"toomanysecrets")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# nobody\n",
        b"prometheus:plaintext\n",
        b"prometheus\n",
        b":$pbkdf2-sha256$6400$YQ$YQ\n",
        b"a:$pbkdf2-sha256$1$YQ$YQ\n",
        b"a:$pbkdf2-sha256$x$YQ$YQ\n",
        b"a:$pbkdf2-sha256$6400$!$YQ\n",
        b"a:$2y$10$aaaaaaaaaaaaaaaaaaaaaa\n",
        b"\xff\xfe",
    ],
)
def test_files_that_make_no_sense(tmp_path: Path, content: bytes) -> None:
    users = tmp_path / "users"
    users.write_bytes(content)
    with pytest.raises(UsageError, match="read users from") as raised:
        make_exporter(basic_auth_file=str(users)).start()
    assert "\n" not in str(raised.value)
    assert "plaintext" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        BasicAuth.load(str(tmp_path / "users"))


def test_the_command_that_makes_a_line() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "container_oomkill.web.http.auth", "prometheus"],
        input="secret\n",
        capture_output=True,
        text=True,
        check=True,
    )
    name, _, text = made.stdout.strip().partition(":")
    assert name == "prometheus"
    assert PasswordHash.parse(text).fits(b"secret")
