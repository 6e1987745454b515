# SPDX-License-Identifier: Apache-2.0
"""HTTPS and client certificates, with certificates made by the openssl command."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.exporter.exporter import Exporter
from container_oomkill.web.http.config_file import CIPHERS, CURVES
from container_oomkill.web.http.tls import names_of
from container_oomkill.web.http.web_config import WebConfig

from ...support.certificates import make_certificate, openssl
from ...support.http_client import Answer, ask, connect, get, make_exporter, parse, read_all
from ...support.web_config import REQUIRED, web_config

NAMES = (
    "DNS:prom.example,IP:127.0.0.1,IP:fd00::1,email:ops@example.org,URI:spiffe://cluster/prometheus"
)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "ca", "stranger"):
        make_certificate(folder, name)
    make_certificate(folder, "client", ca="ca", names=NAMES)
    make_certificate(folder, "other", ca="ca", names="DNS:other.example")
    make_certificate(folder, "between", ca="ca", extension="basicConstraints=critical,CA:TRUE")
    make_certificate(folder, "below", ca="between")
    openssl(
        folder, "ec", "-in", "server.key", "-out", "locked.key", "-aes128", "-passout", "pass:x"
    )
    return folder


def tls_exporter(folder: Path, *lines: str, server: str = "server") -> Exporter:
    return make_exporter(web_config_file=str(web_config(folder, *lines, server=server)))


def client_context(folder: Path, client: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "server.pem"))
    if client:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    return context


def ask_tls(
    exporter: Exporter,
    folder: Path,
    request: bytes,
    client: str | None = None,
    context: ssl.SSLContext | None = None,
) -> Answer:
    context = context or client_context(folder, client)
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
    with tls_exporter(certificates, *REQUIRED) as exporter:
        exporter.start()
        assert ask_tls(exporter, certificates, get("/healthz"), "client").status == 200
        for wrong in (None, "stranger"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                ask_tls(exporter, certificates, get("/healthz"), wrong)


def test_a_client_certificate_that_is_verified_if_given(certificates: Path) -> None:
    lines = ("client_auth_type: VerifyClientCertIfGiven", "client_ca_file: ca.pem")
    with tls_exporter(certificates, *lines, "client_allowed_sans: [prom.example]") as exporter:
        exporter.start()
        for right in (None, "client"):
            assert ask_tls(exporter, certificates, get("/healthz"), right).status == 200
        for wrong in ("stranger", "other"):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                ask_tls(exporter, certificates, get("/healthz"), wrong)


@pytest.mark.parametrize(
    ("allowed", "passes"),
    [
        ("prom.example", True),
        ("127.0.0.1", True),
        ("fd00::1", True),
        ("ops@example.org", True),
        ("spiffe://cluster/prometheus", True),
        ("nobody, prom.example", True),
        ("PROM.example", False),
        ("example", False),
        ("", False),
    ],
)
def test_the_names_that_a_client_may_have(certificates: Path, allowed: str, passes: bool) -> None:
    with tls_exporter(certificates, *REQUIRED, f"client_allowed_sans: [{allowed}]") as exporter:
        exporter.start()
        if passes:
            assert ask_tls(exporter, certificates, get("/healthz"), "client").status == 200
        else:
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                ask_tls(exporter, certificates, get("/healthz"), "client")


def test_an_intermediate_ca_is_enough(certificates: Path) -> None:
    """As in Go: what is in client_ca_file is trusted, whoever has signed it."""
    lines = ("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: between.pem")
    with tls_exporter(certificates, *lines) as exporter:
        exporter.start()
        assert ask_tls(exporter, certificates, get("/healthz"), "below").status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask_tls(exporter, certificates, get("/healthz"), "client")


def test_a_certificate_without_names() -> None:
    assert names_of({"subject": ((("commonName", "a"),),)}) == set()


def test_versions_ciphers_and_curves(certificates: Path) -> None:
    """What is settled with a client that takes all: the server's choice shows."""
    both = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    suites = f"cipher_suites: [{both}]"

    def settled(*lines: str, ciphers: str = "", version: str = "") -> tuple[str, str]:
        context = client_context(certificates)
        if ciphers:
            context.set_ciphers(ciphers)
        if version:
            context.maximum_version = ssl.TLSVersion[version]
        with tls_exporter(certificates, *lines) as exporter:
            exporter.start()
            with (
                connect(exporter.addresses[0]) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
            ):
                found = secured.cipher()
                assert found is not None
                return found[1], found[0]

    assert settled()[0] == "TLSv1.3"
    assert settled("max_version: TLS12")[0] == "TLSv1.2"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        settled("min_version: TLS13", version="TLSv1_2")
    reverse = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
    tls12 = ("max_version: TLS12", suites)
    assert settled(*tls12, ciphers=reverse)[1] == "ECDHE-ECDSA-CHACHA20-POLY1305"
    client_chooses = "prefer_server_cipher_suites: false"
    chosen = settled(*tls12, client_chooses, ciphers=reverse)
    assert chosen[1] == "ECDHE-ECDSA-AES128-GCM-SHA256"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        settled(*tls12, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")


@pytest.mark.parametrize(("offered", "taken"), [("P-384", True), ("P-256", False)])
def test_the_curve(certificates: Path, offered: str, taken: bool) -> None:
    with tls_exporter(certificates, "curve_preferences: [CurveP384]") as exporter:
        exporter.start()
        address = f"127.0.0.1:{exporter.addresses[0].port}"
        command = ["openssl", "s_client", "-connect", address, "-groups", offered]
        done = subprocess.run(command, capture_output=True, input=b"", check=False)
    assert (b"Cipher is (NONE)" not in done.stdout) == taken


def test_every_cipher_suite_and_curve_has_a_name_that_openssl_knows(certificates: Path) -> None:
    for curve in CURVES:
        for suite in CIPHERS:
            lines = (f"cipher_suites: [{suite}]", f"curve_preferences: [{curve}]")
            WebConfig(str(web_config(certificates, *lines)))


def test_curl_gets_http_1_1_however_it_asks(certificates: Path) -> None:
    with tls_exporter(certificates, *REQUIRED) as exporter:
        exporter.start()
        url = f"https://127.0.0.1:{exporter.addresses[0].port}/healthz"
        client = ("--cert", "client.pem", "--key", "client.key", "--cacert", "server.pem")
        command = ["curl", "-sS", "--noproxy", "*", "--http2", *client, "-w", "%{http_version}"]
        done = subprocess.run(
            [*command, url], cwd=certificates, capture_output=True, text=True, check=True
        )
    assert done.stdout == "ok\n1.1"


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


def test_a_renewed_certificate_is_served(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_certificate(tmp_path, "server")
    make_certificate(tmp_path, "next")
    with tls_exporter(tmp_path) as exporter:
        exporter.start()

        def served(server: str) -> int:
            return ask_tls(
                exporter,
                tmp_path,
                get("/healthz"),
                context=ssl.create_default_context(cafile=str(tmp_path / f"{server}.pem")),
            ).status

        assert served("server") == 200
        (tmp_path / "old.pem").write_bytes((tmp_path / "server.pem").read_bytes())
        (tmp_path / "server.pem").write_text("half")
        for _ in range(3):  # the old one, for as long as the new is of no use
            assert served("old") == 200
        error = capfd.readouterr().err
        assert error.count("kept the old web configuration: load certificate") == 1
        # Both at once, as a Secret's volume does it: one rename.
        for kind in ("key", "pem"):
            (tmp_path / f"next.{kind}").replace(tmp_path / f"server.{kind}")
        with pytest.raises(ssl.SSLError):
            served("old")
        assert served("server") == 200
        web_config(tmp_path, server="server")
        (tmp_path / "web.yml").write_text("# no TLS any more\n")
        assert served("server") == 200
        assert "tls_server_config was removed: restart" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"cert_file": "no"}, "no such file or directory"),
        ({"cert_file": "."}, "is a directory"),
        ({"cert_file": "server.key"}, "load certificate"),
        ({"key_file": "client.key"}, "key values mismatch"),
        ({"key_file": "locked.key"}, "load certificate"),
        ({"client_ca_file": "ca.key"}, "load client CA"),
        ({"client_ca_file": "/dev/null"}, "load client CA"),
    ],
)
def test_files_that_do_not_do(
    certificates: Path, tmp_path: Path, lines: dict[str, str], message: str
) -> None:
    files = {"cert_file": "server.pem", "key_file": "server.key"} | lines
    auth = "RequireAndVerifyClientCert" if "client_ca_file" in lines else "NoClientCert"
    text = [f"{name}: {certificates / file}" for name, file in files.items()]
    config = tmp_path / "web.yml"
    config.write_text("tls_server_config:\n  " + "\n  ".join([*text, f"client_auth_type: {auth}"]))
    with pytest.raises(UsageError, match=message) as raised:
        make_exporter(web_config_file=str(config)).start()
    assert "\n" not in str(raised.value)
