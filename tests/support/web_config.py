# SPDX-License-Identifier: Apache-2.0
"""A file for --web.config.file that serves TLS."""

from __future__ import annotations

from pathlib import Path

REQUIRED = ("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: ca.pem")


def web_config(folder: Path, *lines: str, server: str = "server") -> Path:
    """A file beside the certificates, with these lines more below tls_server_config."""
    text = [f"cert_file: {server}.pem", f"key_file: {server}.key", *lines]
    file = folder / "web.yml"
    file.write_text("tls_server_config:\n" + "".join(f"  {line}\n" for line in text))
    return file
