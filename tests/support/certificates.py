# SPDX-License-Identifier: Apache-2.0
"""Certificates, made by the openssl command."""

from __future__ import annotations

import subprocess
from pathlib import Path


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificate(
    folder: Path,
    name: str,
    *,
    ca: str | None = None,
    days: int = 2,
    names: str = "IP:127.0.0.1",
    extension: str | None = None,
) -> None:
    """NAME.pem and NAME.key, signed by CA or by itself."""
    issuer = ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key"] if ca else []
    more = ["-addext", extension] if extension else []
    openssl(
        folder,
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", str(days)),
        *("-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", *more, *issuer),
    )


def make_authority(folder: Path) -> None:
    """ca, what it has signed (server, client, elsewhere, expired), and a stranger."""
    make_certificate(folder, "ca", extension="basicConstraints=critical,CA:true")
    make_certificate(folder, "server", ca="ca")
    make_certificate(folder, "client", ca="ca")
    make_certificate(folder, "elsewhere", ca="ca", names="DNS:elsewhere.example")
    make_certificate(folder, "stranger")
    # `req -x509` makes none that has expired.
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        folder,
        *("req", "-new", "-key", "server.key", "-subj", "/CN=expired", "-out", "expired.csr"),
    )
    openssl(
        folder,
        *("x509", "-req", "-in", "expired.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days"),
        *("-1", "-out", "expired.pem", "-extfile", "names"),
    )
    (folder / "expired.key").write_bytes((folder / "server.key").read_bytes())
