# SPDX-License-Identifier: Apache-2.0
"""Basic authentication by bcrypt hashes, made by the bcrypt package and by htpasswd."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_oomkill.errors import UsageError
from container_oomkill.exporter.exporter import Exporter
from container_oomkill.web.http import auth, passwords
from container_oomkill.web.http.auth import PASSWORD_MAX, BasicAuth

from ...support.http_client import ask, connect, get, make_exporter, parse_all, read_all

QUICK = 4  # bcrypt's least cost
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


def hash_of(password: bytes, cost: int = QUICK) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode()


def htpasswd(name: str, password: str) -> str:
    """The hash that Debian's apache2-utils make."""
    command = ["htpasswd", "-niBC", str(QUICK), name]
    done = subprocess.run(command, input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix(f"{name}:")


def write_users(file: Path, users: dict[str, str]) -> str:
    lines = ["basic_auth_users:", *(f"  {name}: {hashed}" for name, hashed in users.items())]
    file.write_text("\n".join(lines) + "\n")
    return str(file)


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "web.yml"
    hashes = {"prometheus": htpasswd("prometheus", "päss:word"), "human": hash_of(b"x")}
    write_users(file, hashes)
    return file


@pytest.fixture
def exporter(users: Path) -> Iterator[Exporter]:
    with make_exporter(web_config_file=str(users)) as running:
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


def test_curl(exporter: Exporter) -> None:
    url = f"http://127.0.0.1:{exporter.addresses[0].port}/metrics"
    command = ["curl", "-s", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", "-u"]
    for user, status in (("human:x", "200"), ("human:y", "401"), ("nobody:x", "401")):
        done = subprocess.run([*command, user, url], capture_output=True, text=True, check=True)
        assert done.stdout == status


def test_users_change_while_a_client_is_connected(
    users: Path, exporter: Exporter, capfd: pytest.CaptureFixture[str]
) -> None:
    request = f"GET /nothing HTTP/1.1\r\nHost: x\r\n{basic('human', 'x')}\r\n\r\n".encode()
    with connect(exporter.addresses[0]) as client:

        def status() -> int:
            client.sendall(request)
            data = b""
            while not data.endswith(b"\n") or b"\r\n\r\n" not in data:
                data += client.recv(65536)
            return parse_all(data)[0].status

        assert status() == 404
        write_users(users, {"human": hash_of(b"y")})
        assert status() == 401
        write_users(users, {"human": "plaintext"})
        assert status() == 401
        assert status() == 401
        assert capfd.readouterr().err.count("kept the old web configuration") == 1
        write_users(users, {"human": htpasswd("human", "x")})
        assert status() == 404
        users.write_text("")
        assert status() == 404
    assert ask(exporter.addresses[0], get("/metrics")).status == 200


def test_what_passed_is_remembered_within_bounds() -> None:
    checker = BasicAuth({"a": hash_of(b"x")})
    headers = [f"Basic{' ' * spaces}{base64.b64encode(b'a:x').decode()}" for spaces in range(1, 9)]
    for header in headers:
        assert not checker.knows(header)
        assert checker.check(header)
        assert checker.knows(header)
    assert len(checker._passed) <= auth.REMEMBERED_PER_USER


def test_no_password_is_kept() -> None:
    checker = BasicAuth({"a": hash_of(b"correct horse")})
    header = basic("a", "correct horse").removeprefix("Authorization: ")
    assert checker.check(header)
    held = repr(vars(checker)).encode()
    assert b"correct horse" not in held
    assert header.encode() not in held


@pytest.mark.parametrize("version", ["2a", "2b", "2y"])
def test_every_version_of_bcrypt_hashes(version: str) -> None:
    hashed = htpasswd("a", "secret").replace("$2y$", f"${version}$")
    checker = BasicAuth({"a": hashed})
    assert checker.check(basic("a", "secret").removeprefix("Authorization: "))
    assert not checker.check(basic("a", "Secret").removeprefix("Authorization: "))


def test_what_bcrypt_does_not_read_of_a_password() -> None:
    """htpasswd takes 72 bytes, as bcrypt does: a longer password works as it does there."""
    password = "ä" * 36
    checker = BasicAuth({"a": htpasswd("a", password + "more")})
    for right in (password + "more", password, password + "other"):
        assert checker.check(basic("a", right).removeprefix("Authorization: "))
    assert not checker.check(basic("a", password[:-1]).removeprefix("Authorization: "))


@given(st.binary(max_size=80), st.binary(max_size=80))
@settings(max_examples=30)  # a check is slow on purpose
def test_crypt_agrees_with_the_bcrypt_package(password: bytes, other: bytes) -> None:
    """Any bytes but NUL, at which crypt would end."""
    password, other = (each.replace(b"\0", b"")[:PASSWORD_MAX] for each in (password, other))
    hashed = hash_of(password).encode()
    assert passwords.checkpw(password, hashed)
    assert passwords.checkpw(other, hashed) == (other == password)


def test_a_password_does_not_end_at_a_nul() -> None:
    checker = BasicAuth({"a": hash_of(b"secret")})
    assert checker.check(basic("a", "secret").removeprefix("Authorization: "))
    assert not checker.check(basic("a", "secret\0").removeprefix("Authorization: "))
    assert not checker.check(basic("a", "secret\0more").removeprefix("Authorization: "))


def test_a_crypt_that_does_not_know_the_hashes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "KNOWN", (b"U*U", b"$2unknown$05$" + b"C" * 53))
    with pytest.raises(UsageError, match="libcrypt has no bcrypt"):
        BasicAuth({"a": hash_of(b"secret")})


def test_nobody_costs_as_much_as_the_costliest_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: which hash an unknown name is checked against."""
    checked = []
    checker = BasicAuth({"a": hash_of(b"x", 4), "b": hash_of(b"x", 6), "c": hash_of(b"x", 5)})
    really = checker._checkpw

    def counting(password: bytes, hashed: bytes) -> bool:
        checked.append(hashed[4:6])
        return really(password, hashed)

    monkeypatch.setattr(checker, "_checkpw", counting)
    assert not checker.check(basic("nobody", "x").removeprefix("Authorization: "))
    assert not checker.check(basic("b", "y").removeprefix("Authorization: "))
    assert checked == [b"06", b"06"]
