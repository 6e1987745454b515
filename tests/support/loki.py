# SPDX-License-Identifier: Apache-2.0
"""A real Loki on the loopback interface, and what it answers to LogQL."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .collector import free_address
from .prometheus import TOOLS
from .waiting import PATIENCE_SECONDS, eventually

# All in one process, as its own documentation has it for trying out. What it allows and refuses is
# as it comes: limits of structured metadata, labels of the resource, age of records.
CONFIG = """\
auth_enabled: false
analytics: {{ reporting_enabled: false }}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {http}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: {grpc}
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: {folder}
  replication_factor: 1
  ring: {{ kvstore: {{ store: inmemory }} }}
  storage:
    filesystem: {{ chunks_directory: {folder}/chunks, rules_directory: {folder}/rules }}
schema_config:
  configs:
    - {{ from: "2024-01-01", store: tsdb, object_store: filesystem, schema: v13,
        index: {{ prefix: index_, period: 24h }} }}
"""


class Loki:
    def __init__(self, address: str) -> None:
        self.otlp = f"http://{address}/otlp"  # of which /v1/logs is the rest
        self._url = f"http://{address}/loki/api/v1"

    def streams(self, query: str) -> list[tuple[dict[str, str], str]]:
        """Of a query for logs: labels and line of each, the newest first."""
        now = time.time_ns()
        answer = self._get("query_range", query=query, start=f"{now - 3600 * 10**9}", end=f"{now}")
        found = [
            (int(stamp), each["stream"], line)
            for each in answer["result"]
            for stamp, line in each["values"]
        ]
        found.sort(key=lambda one: one[0], reverse=True)
        return [(labels, line) for _, labels, line in found]

    def vector(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Of a query for numbers, now: labels and value."""
        found = self._get("query", query=query)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def refusal(self, query: str) -> str:
        """Why it does not take a query; empty: it does."""
        try:
            self._get("query_range", query=query)
        except urllib.error.HTTPError as error:
            return error.read().decode()
        return ""

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self._url}/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)["data"]


@contextmanager
def running(folder: Path) -> Iterator[Loki]:
    """Run it until the end of the block, its data in the folder."""
    program = TOOLS / "loki"
    assert program.is_file(), f"no {program}: run tools/collector-tools.sh"
    http, grpc = free_address(), free_address()
    config, log = folder / "loki.yml", folder / "loki.log"
    ports = {"http": http.rpartition(":")[2], "grpc": grpc.rpartition(":")[2]}
    config.write_text(CONFIG.format(folder=folder, **ports))
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(program), f"-config.file={config}"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: _is_ready(http, process, log))
        yield Loki(http)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _is_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        with urllib.request.urlopen(f"http://{address}/ready", timeout=PATIENCE_SECONDS):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False
