# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus on the loopback interface, with a data folder of its own."""

from __future__ import annotations

import json
import os
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

# What tools/prometheus-tools.sh has built and unpacked.
TOOLS = Path(
    os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "container-oomkill", "tools"
)
CURRENT = "v0.316.0"  # the module's version of Prometheus 3.16.0

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


def tool(name: str) -> str:
    """Return the path of a tool of this version; fails where it was not built."""
    path = TOOLS / name
    assert path.is_file(), f"no {path}: run tools/prometheus-tools.sh"
    return str(path)


def program(name: str, version: str) -> str:
    """Return ``prometheus`` or ``promtool``: the "distribution"'s, or a "current" one."""
    if version == "current":
        return tool(f"prometheus-{CURRENT}/{name}")
    found = shutil.which(name)
    assert found is not None, f"no {name}: tools/system-packages.sh test"
    return found


def hasty(rules: Path, *, window: str = "600", keep: str | None = None) -> None:
    """Write our rules for a test, which has no time.

    ``window``: seconds a kill's alert fires; ``keep``: how long it is kept after that, if at all.
    """
    text = RULES.read_text()
    assert "last_timestamp_seconds < 600)" in text
    text = text.replace("last_timestamp_seconds < 600)", f"last_timestamp_seconds < {window})")
    # What was delivered late is told by the process's start, which is always of now here.
    text = text.replace('container-oomkill"} < 600)', f'container-oomkill"}} < {window})')
    text, patient = re.subn(r"(?m)^ +for: .*\n", "", text)
    assert patient
    kept = "" if keep is None else rf"\g<1>{keep}\n"
    text, patient = re.subn(r"(?m)^( +keep_firing_for: ).*\n", kept, text)
    assert patient
    rules.write_text(text)


@contextmanager
def prometheus(folder: Path, target: str, *, window: str = "600") -> Iterator[Prometheus]:
    """Run it until the end of the block; ``window``: seconds a kill's alert fires."""
    rules = folder / "rules.yml"
    hasty(rules, window=window)
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(rules=rules, target=target))
    with running(folder, config) as (server, _):
        yield server


@contextmanager
def running(
    folder: Path, config: Path, *options: str, program: str = "prometheus"
) -> Iterator[tuple[Prometheus, int]]:
    """Run it with a configuration until the end of the block; gives its process id as well."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                program,
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
