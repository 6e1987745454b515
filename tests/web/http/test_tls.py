# SPDX-License-Identifier: Apache-2.0
"""HTTPS and client certificates, with certificates made by the openssl command."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.exporter.exporter import Exporter
from container_oomkill.web.http.tls import LOOK_AGAIN_SECONDS, Tls

from ...support.certificates import make_certificate, openssl
from ...support.http_client import Answer, ask, connect, get, make_exporter, parse, read_all
from ...support.incidents import Clock


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "ca", "stranger"):
        make_certificate(folder, name)
    make_certificate(folder, "client", ca="ca")
    openssl(
        folder, "ec", "-in", "server.key", "-out", "locked.key", "-aes128", "-passout", "pass:x"
    )
    return folder


def tls_exporter(folder: Path, *, client_ca: bool = False) -> Exporter:
    return make_exporter(
        tls_cert_file=str(folder / "server.pem"),
        tls_key_file=str(folder / "server.key"),
        tls_client_ca_file=str(folder / "ca.pem") if client_ca else None,
    )


def ask_tls(exporter: Exporter, folder: Path, request: bytes, client: str | None = None) -> Answer:
    context = ssl.create_default_context(cafile=str(folder / "server.pem"))
    if client:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    with (
        connect(exporter.addresses[0]) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(request)
        return parse(read_all(secured))


def test_https(certificates: Path) -> None:
    with tls_exporter(certificates) as exporter:
        exporter.start()
        answer = ask_tls(exporter, certificates, get())
        assert b"container_oomkill_build_info" in answer.body
        # Ends with TLS' own end, which the client insists on.
        answer = ask_tls(exporter, certificates, b"GET /healthz HTTP/1.0\r\n\r\n")
        assert answer.body == b"ok\n"


def test_only_tls_1_2_and_later(certificates: Path) -> None:
    with tls_exporter(certificates) as exporter:
        exporter.start()
        context = ssl.create_default_context(cafile=str(certificates / "server.pem"))
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with connect(exporter.addresses[0]) as plain, pytest.raises(OSError, match=r"."):
            context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_client_certificates(certificates: Path) -> None:
    with tls_exporter(certificates, client_ca=True) as exporter:
        exporter.start()
        assert ask_tls(exporter, certificates, get("/healthz"), "client").status == 200
        for wrong in (None, "stranger"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                ask_tls(exporter, certificates, get("/healthz"), wrong)


def test_clients_without_tls_or_without_words(
    certificates: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with tls_exporter(certificates) as exporter:
        exporter.start()
        with connect(exporter.addresses[0]) as silent, connect(exporter.addresses[0]) as plain:
            plain.sendall(get())
            with pytest.raises((AssertionError, ConnectionError)):
                ask(exporter.addresses[0], get())
            assert ask_tls(exporter, certificates, get("/healthz")).status == 200
            silent.close()
        assert ask_tls(exporter, certificates, get("/healthz")).status == 200
    assert capfd.readouterr().err == ""


def test_a_renewed_certificate_is_taken_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_certificate(tmp_path, "server")
    clock = Clock()
    files = {"cert": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.key")}
    tls = Tls(**files, client_ca=None, monotonic=clock)

    def served() -> object:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            tls.wrap(ours).close()
            return tls._context

    first = served()
    good = (tmp_path / "server.pem").read_bytes()
    (tmp_path / "server.pem").write_text("half")
    assert served() is first  # looks now and then only
    clock.now += LOOK_AGAIN_SECONDS
    assert served() is first
    assert "kept the old certificate: load certificate" in capfd.readouterr().err
    (tmp_path / "server.pem").write_bytes(good)
    clock.now += LOOK_AGAIN_SECONDS
    assert served() is not first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tls_cert_file": "server.pem"}, "--web.tls-cert-file needs --web.tls-key-file too"),
        ({"tls_key_file": "server.key"}, "--web.tls-key-file needs --web.tls-cert-file too"),
        ({"tls_client_ca_file": "ca.pem"}, "--web.tls-client-ca-file needs"),
        ({"tls_cert_file": "no", "tls_key_file": "server.key"}, "no such file or directory"),
        ({"tls_cert_file": ".", "tls_key_file": "server.key"}, "is a directory"),
        ({"tls_cert_file": "server.key", "tls_key_file": "server.key"}, "load certificate"),
        ({"tls_cert_file": "server.pem", "tls_key_file": "client.key"}, "key values mismatch"),
        ({"tls_cert_file": "server.pem", "tls_key_file": "locked.key"}, "load certificate"),
        (
            {
                "tls_cert_file": "server.pem",
                "tls_key_file": "server.key",
                "tls_client_ca_file": "ca.key",
            },
            "load client CA",
        ),
    ],
)
def test_files_that_do_not_do(certificates: Path, settings: dict[str, str], message: str) -> None:
    paths: dict[str, Any] = {name: str(certificates / file) for name, file in settings.items()}
    with pytest.raises(UsageError, match=message) as raised:
        make_exporter(**paths).start()
    assert "\n" not in str(raised.value)
