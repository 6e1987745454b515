# SPDX-License-Identifier: Apache-2.0
"""A real Alertmanager on the loopback interface, and a webhook that reads what it sends."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .prometheus import tool
from .waiting import PATIENCE_SECONDS, eventually

# The distribution's looks for its templates in /usr/share: so they are there, for it alone.
WITH_TEMPLATES = 'mount --bind "$1" /usr/share && shift && exec "$@"'
CONFIG = """\
route:
  receiver: webhook
  group_by: ["..."] # each alert is a notification of its own
  group_wait: 1s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: webhook
    webhook_configs: [{{ url: "http://{webhook}/", send_resolved: true }}]
"""


class Webhook:
    """What it was sent: every alert of every notification, in order."""

    def __init__(self) -> None:
        self._alerts: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer._alerts.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook")
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def of(self, alertname: str, **labels: str) -> list[dict[str, Any]]:
        wanted = {"alertname": alertname, **labels}.items()
        return [each for each in list(self._alerts) if wanted <= each["labels"].items()]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def alertmanager(folder: Path) -> Iterator[tuple[str, Webhook]]:
    """Run it until the end of the block; gives its address, and what receives its notifications."""
    webhook = Webhook()
    config, log = folder / "alertmanager.yml", folder / "alertmanager.log"
    config.write_text(CONFIG.format(webhook=webhook.address))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program = tool("alertmanager/bin/prometheus-alertmanager")
    share = str(Path(program).parents[1] / "share")
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "sh", "-c", WITH_TEMPLATES, "sh", share, program),
                f"--config.file={config}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            eventually(lambda: _answers(address, process, log))
            yield address, webhook
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
            webhook.close()


def _answers(address: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=PATIENCE_SECONDS) as ready:
            return bool(ready.status == 200)
    except OSError:
        return False
