# SPDX-License-Identifier: Apache-2.0
"""Reads the file of ``--web.config.file``, in the format of the Prometheus exporters.

The format is exporter-toolkit's (docs/web-configuration.md there). Nothing in a file is ignored: a
field that is unknown, or that Python's `ssl` cannot honour, is refused by name; docs/web-config.md
says which and why. Needs PyYAML, of the extra ``container-oomkill[web]``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError
from ...system.strict_yaml import Refused, Section, load

FIELDS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
TLS_FIELDS = (
    *("cert", "key", "client_ca", "cert_file", "key_file", "client_ca_file"),
    *("client_auth_type", "client_allowed_sans", "min_version", "max_version"),
    *("cipher_suites", "prefer_server_cipher_suites", "curve_preferences"),
)
UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
VERIFIED = ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
OLD_VERSIONS = ("TLS10", "TLS11")
VERSIONS = ("TLS12", "TLS13")
# Go's crypto/tls.CipherSuites() -> OpenSSL's name; those of TLS 1.3 cannot be chosen in either.
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
CIPHERS_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
# Which headers there are, and which values; none: any.
HEADERS: dict[str, Collection[str]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
# $2x$ is what crypt_blowfish calls the hashes of its versions with a bug.
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``tls_server_config``, with OpenSSL's names; its files are where they are, not relative."""

    cert_file: str
    key_file: str
    client_auth_type: str = "NoClientCert"  # or one of `VERIFIED`
    client_ca_file: str | None = None
    client_allowed_sans: tuple[str, ...] | None = None
    min_version: str = VERSIONS[0]
    max_version: str = VERSIONS[-1]
    ciphers: tuple[str, ...] = ()  # of TLS 1.2; empty: OpenSSL's own
    prefer_server_ciphers: bool = True
    curve: str | None = None


@dataclass(frozen=True, slots=True)
class WebSettings:
    """``users``: bcrypt hash by name."""

    tls: TlsSettings | None
    headers: tuple[tuple[str, str], ...]
    users: dict[str, str]


def read(path: str) -> WebSettings:
    """Raises `UsageError`, which names the field."""
    try:
        return _settings(Section("", load(path, "--web.config.file"), FIELDS), Path(path).parent)
    except Refused as error:
        raise UsageError(f"--web.config.file {path}: {error}") from None


def _settings(top: Section, folder: Path) -> WebSettings:
    tls = top.section("tls_server_config", TLS_FIELDS)
    http = top.section("http_server_config", ("http2", "headers"))
    users = top.section("basic_auth_users")
    if top.section("rate_limit"):
        raise top.refuse(
            "rate_limit", "not supported: --web.max-requests bounds the scrapes at once"
        )
    # True, the format's default, allows HTTP/2 and does not promise it: ALPN settles on 1.1.
    http.flag("http2", True)
    headers = _headers(http.section("headers"))
    return WebSettings(_tls(tls, folder) if tls else None, headers, _users(users))


def _tls(tls: Section, folder: Path) -> TlsSettings:
    for name in ("cert", "key", "client_ca"):
        if tls.text(name):
            raise tls.refuse(name, f"not supported inline: put it into a file, for {name}_file")
    files: dict[str, str | None] = {}
    for name in ("cert_file", "key_file", "client_ca_file"):
        given = tls.text(name)
        files[name] = str(folder / given) if given else None
    cert, key, client_ca = files.values()
    if cert is None or key is None:
        raise tls.refuse("key_file" if cert else "cert_file", "is missing")
    auth = tls.text("client_auth_type") or "NoClientCert"
    if auth in UNVERIFIED:
        raise tls.refuse(
            "client_auth_type",
            f"{auth} is not supported, as it verifies no certificate: use {VERIFIED[-1]}",
        )
    if auth not in ("NoClientCert", *VERIFIED):
        raise tls.refuse(
            "client_auth_type", f"{auth}: expected NoClientCert, {', '.join(VERIFIED)}"
        )
    if auth in VERIFIED and not client_ca:
        raise tls.refuse("client_auth_type", f"{auth} needs client_ca_file")
    sans = tls.texts("client_allowed_sans")
    for name, value in (("client_ca_file", client_ca), ("client_allowed_sans", sans)):
        if auth not in VERIFIED and value is not None:
            raise tls.refuse(name, f"needs client_auth_type: {VERIFIED[-1]}")
    versions = [
        _version(tls, name, default)
        for name, default in (("min_version", VERSIONS[0]), ("max_version", VERSIONS[-1]))
    ]
    if versions != sorted(versions):
        raise tls.refuse("min_version", f"{versions[0]} is above max_version {versions[1]}")
    return TlsSettings(
        cert_file=cert,
        key_file=key,
        client_auth_type=auth,
        client_ca_file=client_ca,
        client_allowed_sans=sans,
        min_version=versions[0],
        max_version=versions[1],
        ciphers=_ciphers(tls, versions[0]),
        prefer_server_ciphers=tls.flag("prefer_server_cipher_suites", True),
        curve=_curve(tls),
    )


def _version(tls: Section, name: str, default: str) -> str:
    version = tls.choice(name, (*OLD_VERSIONS, *VERSIONS), default)
    if version in OLD_VERSIONS:
        raise tls.refuse(name, f"{version} is not supported: expected {' or '.join(VERSIONS)}")
    return version


def _ciphers(tls: Section, min_version: str) -> tuple[str, ...]:
    names = tls.texts("cipher_suites") or ()
    for name in names:
        if name not in CIPHERS and name not in CIPHERS_13:
            raise tls.refuse("cipher_suites", f"{name}: no such cipher suite, or not a safe one")
    chosen = tuple(CIPHERS[name] for name in names if name in CIPHERS)
    if names and not chosen and min_version != VERSIONS[-1]:
        raise tls.refuse("cipher_suites", "has none for TLS 1.2: set min_version: TLS13")
    return chosen


def _curve(tls: Section) -> str | None:
    names = tls.texts("curve_preferences") or ()
    for name in names:
        if name not in CURVES:
            raise tls.refuse("curve_preferences", f"{name}: expected one of {', '.join(CURVES)}")
    if len(names) > 1:
        raise tls.refuse(
            "curve_preferences", "more than one is not supported: leave it out for all, or name one"
        )
    return CURVES[names[0]] if names else None


def _headers(section: Section) -> tuple[tuple[str, str], ...]:
    headers = []
    for name, value in section.pairs():
        if name not in HEADERS:
            raise section.refuse(name, f"cannot be set: only {', '.join(HEADERS)}")
        if value is None:
            continue
        if not HEADER_VALUE.fullmatch(value) or (HEADERS[name] and value not in HEADERS[name]):
            expected = " or ".join(HEADERS[name]) or "printable ASCII on one line"
            raise section.refuse(name, f"expected {expected}")
        headers.append((name, value))
    return tuple(headers)


def _users(section: Section) -> dict[str, str]:
    users: dict[str, str] = {}
    for name, hashed in section.pairs():
        if not name or ":" in name:
            raise section.refuse(name, "a name is not empty and has no colon")
        if hashed is None or not BCRYPT.fullmatch(hashed):
            # Not repeated: it may be the password itself.
            raise section.refuse(name, "expected a bcrypt hash: htpasswd -nBC 10 NAME makes one")
        users[name] = hashed
    return users
