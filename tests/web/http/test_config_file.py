# SPDX-License-Identifier: Apache-2.0
"""--web.config.file: read as the other Prometheus exporters read theirs, or refused by field."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from container_oomkill.errors import UsageError
from container_oomkill.web.http.config_file import TlsSettings, WebSettings, read

HASH = "$2y$04$LFyM/73b1moN0iykWn.u8uF9tVkCZi9/xI6xJ90AsFtw9w.IiYiha"
TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
VERIFIED = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"


def settings(folder: Path, text: str | bytes) -> WebSettings:
    file = folder / "web.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(str(file))


def test_every_field_that_is_honoured(tmp_path: Path) -> None:
    text = f"""
tls_server_config:
  cert_file: server.pem
  key_file: /elsewhere/server.key
  client_auth_type: VerifyClientCertIfGiven
  client_ca_file: keys/ca.pem
  client_allowed_sans: [prometheus.example, "127.0.0.1"]
  min_version: TLS12
  max_version: TLS12
  cipher_suites:
    - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
    - TLS_AES_128_GCM_SHA256
  prefer_server_cipher_suites: no
  curve_preferences: [X25519]
http_server_config:
  http2: true
  headers:
    X-Frame-Options: sameorigin
    Strict-Transport-Security: max-age=3600
    X-XSS-Protection:
basic_auth_users:
  prometheus: {HASH}
  yes: {HASH}
  0123: {HASH}
"""
    assert settings(tmp_path, text) == WebSettings(
        TlsSettings(
            cert_file=str(tmp_path / "server.pem"),
            key_file="/elsewhere/server.key",
            client_auth_type="VerifyClientCertIfGiven",
            client_ca_file=str(tmp_path / "keys" / "ca.pem"),
            client_allowed_sans=("prometheus.example", "127.0.0.1"),
            min_version="TLS12",
            max_version="TLS12",
            ciphers=("ECDHE-ECDSA-AES256-GCM-SHA384",),
            prefer_server_ciphers=False,
            curve="X25519",
        ),
        (("X-Frame-Options", "sameorigin"), ("Strict-Transport-Security", "max-age=3600")),
        {"prometheus": HASH, "yes": HASH, "0123": HASH},
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "tls_server_config:\nbasic_auth_users: {}\n"])
def test_nothing_in_it(tmp_path: Path, text: str) -> None:
    assert settings(tmp_path, text) == WebSettings(None, (), {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # what ssl cannot do, or we do not
        (TLS + "  cert: x\n", "tls_server_config.cert: not supported inline"),
        (TLS + "  key: x\n", "tls_server_config.key: not supported inline"),
        (TLS + "  client_ca: x\n", "tls_server_config.client_ca: not supported inline"),
        (TLS + "  client_auth_type: RequestClientCert\n", "RequestClientCert is not supported"),
        (TLS + "  client_auth_type: RequireAnyClientCert\n", "RequireAnyClientCert is not supp"),
        (TLS + "  client_auth_type: RequireClientCert\n", "RequireClientCert is not supported"),
        (TLS + "  min_version: TLS10\n", "min_version: TLS10 is not supported"),
        (TLS + "  max_version: TLS11\n", "max_version: TLS11 is not supported"),
        (TLS + "  curve_preferences: [X25519, CurveP256]\n", "more than one is not supported"),
        (
            TLS + "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n",
            "cipher_suites: has none for TLS 1.2: set min_version: TLS13",
        ),
        ("rate_limit:\n  burst: 1\n", "rate_limit: not supported"),
        # what does not go together
        (TLS.replace("  key", "  # "), "tls_server_config.key_file: is missing"),
        ("tls_server_config:\n  min_version: TLS13\n", "tls_server_config.cert_file: is missing"),
        (TLS + "  client_ca_file: ca.pem\n", "client_ca_file: needs client_auth_type"),
        (TLS + "  client_allowed_sans: [a]\n", "client_allowed_sans: needs client_auth_type"),
        (
            TLS + "  client_auth_type: RequireAndVerifyClientCert\n",
            "client_auth_type: RequireAndVerifyClientCert needs client_ca_file",
        ),
        (
            TLS + "  min_version: TLS13\n  max_version: TLS12\n",
            "min_version: TLS13 is above max_version TLS12",
        ),
        # what is unknown, or of another kind
        ("tls_config: {}\n", "tls_config: no such field"),
        (TLS + "  cert_fiel: x\n", "tls_server_config.cert_fiel: no such field"),
        ("http_server_config:\n  http3: true\n", "http_server_config.http3: no such field"),
        ("http_server_config:\n  http2: maybe\n", "http2: maybe: expected true or false"),
        (TLS + "  client_auth_type: Verify\n", "client_auth_type: Verify: expected NoClientCert"),
        (TLS + "  min_version: TLS14\n", "min_version: TLS14: expected one of TLS10"),
        (TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n", "not a safe one"),
        (TLS + "  cipher_suites: TLS_AES_128_GCM_SHA256\n", "cipher_suites: expected a list"),
        (TLS + "  curve_preferences: [P-256]\n", "curve_preferences: P-256: expected one of"),
        (VERIFIED + "  client_allowed_sans: [[a]]\n", "client_allowed_sans: expected a list"),
        ("tls_server_config:\n  cert_file: [a]\n", "tls_server_config.cert_file: expected a text"),
        ('tls_server_config:\n  cert_file: "a\\n"\n', "cert_file: has a character that does not"),
        ('"a\\nb": 1\n', r"'a\nb': no such field"),
        ("tls_server_config: [a]\n", "tls_server_config: expected fields"),
        ("- a\n", "the document: expected fields"),
        ("basic_auth_users: x\n", "basic_auth_users: expected fields"),
        # headers
        ("http_server_config:\n  headers:\n    Server: x\n", "headers.Server: cannot be set"),
        (
            "http_server_config:\n  headers:\n    X-Frame-Options: DENY\n",
            "headers.X-Frame-Options: expected deny or sameorigin",
        ),
        (
            'http_server_config:\n  headers:\n    X-XSS-Protection: "a\\r\\nSet-Cookie: b"\n',
            "headers.X-XSS-Protection: has a character",
        ),
        (
            "http_server_config:\n  headers:\n    X-XSS-Protection: ä\n",
            "headers.X-XSS-Protection: expected printable ASCII",
        ),
        # users
        ("basic_auth_users:\n  a: secret\n", "basic_auth_users.a: expected a bcrypt hash"),
        ("basic_auth_users:\n  a:\n", "basic_auth_users.a: expected a bcrypt hash"),
        (f"basic_auth_users:\n  a: {HASH.replace('2y', '2x')}\n", "expected a bcrypt hash"),
        (f"basic_auth_users:\n  a: {HASH.replace('04', '03')}\n", "expected a bcrypt hash"),
        (f"basic_auth_users:\n  a: {HASH.replace('04', '32')}\n", "expected a bcrypt hash"),
        (f"basic_auth_users:\n  a: {HASH[:-1]}\n", "expected a bcrypt hash"),
        (f"basic_auth_users:\n  'a:b': {HASH}\n", "a name is not empty and has no colon"),
        (f"basic_auth_users:\n  '': {HASH}\n", "a name is not empty and has no colon"),
        # no YAML
        (f"basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n", "line 3: a is there twice"),
        ("? [a]\n: b\n", "line 1: found unhashable key"),
        ("a: b: c\n", "line 1: mapping values are not allowed here"),
        ("a: &x [*x]\n", "line 1: found unconstructable recursive node"),
        ("--- a\n--- b\n", "but found another document"),
        (b"\xff\xfe\xff", "is not YAML"),
        ("\0", "is not YAML"),
        ("[" * 2_000, "is nested too deep"),
        ("#" * (1 << 20) + "#", "is larger than 1 MiB"),
    ],
)
def test_one_line_that_names_the_field(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        settings(tmp_path, text)
    message = str(raised.value)
    assert message.startswith(f"--web.config.file {tmp_path / 'web.yml'}: ")
    assert words in message
    assert message.isprintable()
    assert "secret" not in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--web\.config\.file .*/no: no such file or directory"):
        read(str(tmp_path / "no"))
    with pytest.raises(UsageError, match="is a directory"):
        read(str(tmp_path))


def test_without_the_extra(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users:\n  a: {HASH}\n")
    script = f"""
import sys
sys.modules['yaml'] = None
from container_oomkill.errors import UsageError
from container_oomkill.web.http.web_config import WebConfig
try:
    WebConfig({str(file)!r})
except UsageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    words = "--web.config.file: PyYAML is not installed: pip install 'container-oomkill[web]'"
    assert done.stdout == f"{words}\n"
