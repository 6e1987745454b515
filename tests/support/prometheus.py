# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on the loopback interface, with a data folder of its own."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .waiting import PATIENCE_SECONDS

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules" / "container-oomkill.yml"
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no prometheus: apt install prometheus"
)

# Our example, at the pace of a test: everything is scraped and evaluated five times a second.
CONFIG = """\
global: {{ scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: container-oomkill
    honor_labels: true
    scrape_timeout: 200ms
    static_configs: [{{ targets: ["{target}"] }}]
"""


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """``data`` of an answer of its HTTP API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(
            f"{self.url}{path}?{query}", timeout=PATIENCE_SECONDS
        ) as answer:
            found = json.load(answer)
        assert found["status"] == "success"
        return found["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The vector an expression gives; fails on one that Prometheus refuses."""
        try:
            data = self.get("/api/v1/query", query=expression)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from None
        vector: list[dict[str, Any]] = data["result"]
        return vector

    def value(self, expression: str) -> float | None:
        """The one number an expression gives; None: it gives nothing."""
        vector = self.query(expression)
        assert len(vector) <= 1, vector
        return float(vector[0]["value"][1]) if vector else None

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        alerts = self.get("/api/v1/alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


@contextmanager
def prometheus(folder: Path, target: str, *, window: str = "600") -> Iterator[Prometheus]:
    """Run it until the end of the block; ``window``: seconds a kill's alert fires."""
    rules = folder / "rules.yml"
    text = RULES.read_text()
    assert "last_timestamp_seconds < 600)" in text
    # No test waits for ten minutes, nor for an alert's patience.
    text = text.replace("last_timestamp_seconds < 600)", f"last_timestamp_seconds < {window})")
    # What was delivered late is told by the process's start, which is always of now here.
    text = text.replace('container-oomkill"} < 600)', f'container-oomkill"}} < {window})')
    text, patient = re.subn(r"(?m)^ +(keep_firing_)?for: .*\n", "", text)
    assert patient
    rules.write_text(text)
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(rules=rules, target=target))
    with running(folder, config) as (server, _):
        yield server


@contextmanager
def running(folder: Path, config: Path, *options: str) -> Iterator[tuple[Prometheus, int]]:
    """Run it with a configuration until the end of the block; gives its process id as well."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                *options,
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            server = Prometheus(f"http://{address}")
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not _answers(server):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield server, process.pid
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _answers(server: Prometheus) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/-/ready", timeout=PATIENCE_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
