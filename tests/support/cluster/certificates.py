# SPDX-License-Identifier: Apache-2.0
"""Takes a folder, gives an authority, the API server's certificate and the tokens' key in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

NAMES = "DNS:kubernetes.default.svc,IP:127.0.0.1,IP:{node},IP:{service}"


def write(folder: Path, node: str, service: str) -> None:
    """Write ca.crt, api.crt with api.key, accounts.key and accounts.pub."""
    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    _openssl(folder, *new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt")
    names = NAMES.format(node=node, service=service)
    _openssl(folder, *new, "-subj", "/CN=kube-apiserver", "-addext", f"subjectAltName={names}",
             "-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.crt", "-CAkey", "ca.key",
             "-keyout", "api.key", "-out", "api.crt")  # fmt: skip
    _openssl(folder, "genrsa", "-out", "accounts.key", "2048")
    _openssl(folder, "rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
