# SPDX-License-Identifier: Apache-2.0
"""The web configuration in force: its headers on every answer, and when its file is read again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from container_oomkill.web.http import web_config
from container_oomkill.web.http.config_file import WebSettings, read
from container_oomkill.web.http.web_config import SETTLED_NS, WebConfig

from ...support.http_client import ask, connect, get, make_exporter, read_all

HEADERS = """
http_server_config:
  headers:
    X-Frame-Options: sameorigin
    Content-Security-Policy: default-src 'self'
    Strict-Transport-Security: max-age=3600
    X-XSS-Protection:
"""


def test_headers_are_on_every_answer_once(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(HEADERS)
    with make_exporter(web_config_file=str(file)) as exporter:
        exporter.start()
        address = exporter.addresses[0]
        requests = (get("/healthz"), get("/"), get("/no"), get(method="PUT"), b"nonsense\r\n\r\n")
        for request in requests:
            with connect(address) as client:
                client.sendall(request)
                head = read_all(client).partition(b"\r\n\r\n")[0].decode()
            lines = head.split("\r\n")
            assert lines.count("X-Frame-Options: sameorigin") == 1
            assert lines.count("Content-Security-Policy: default-src 'self'") == 1
            assert lines.count("Strict-Transport-Security: max-age=3600") == 1
            names = [line.partition(":")[0] for line in lines[1:]]
            assert len(set(names)) == len(names)
            assert "X-XSS-Protection" not in names
        file.write_text("http_server_config:\n  headers: {X-XSS-Protection: 0}\n")
        answer = ask(address, get("/healthz"))
        assert answer.headers["x-xss-protection"] == "0"
        assert answer.headers["x-frame-options"] == "DENY"


def test_a_file_that_is_settled_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just after a change the times of the next one may be the same: read again until then."""
    file = tmp_path / "web.yml"
    file.write_text(HEADERS)
    reads = []

    def reading(path: str) -> WebSettings:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(web_config, "read", reading)
    late = 0
    config = WebConfig(str(file), wall_ns=lambda: time.time_ns() + late)
    config.refresh()
    assert len(reads) == 2
    late = SETTLED_NS
    config.refresh()
    assert len(reads) == 3
    for _ in range(3):
        config.refresh()
    assert len(reads) == 3
    file.unlink()
    config.refresh()
    config.refresh()
    file.write_text("")
    late = 2 * SETTLED_NS
    config.refresh()
    config.refresh()
    assert config.headers == ()
