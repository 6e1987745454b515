# SPDX-License-Identifier: Apache-2.0
"""A real OpenTelemetry Collector on the loopback interface, and what it has written to its file."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .prometheus import TOOLS
from .receiver import attributes
from .waiting import PATIENCE_SECONDS, eventually

CONFIG = """\
receivers:
  otlp:
    protocols:
      http: {{ endpoint: "{address}" }}
exporters:
  file: {{ path: "{file}", append: true, flush_interval: 200ms }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    logs: {{ receivers: [otlp], exporters: [file] }}
"""


def free_address() -> str:
    """One that is free now: nobody is there until a collector is."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


class Collected:
    """What it has taken, batch by batch."""

    def __init__(self, file: Path, pid: int) -> None:
        self._file = file
        self.pid = pid

    def batches(self) -> list[dict[str, Any]]:
        """Each a resource with its records; a line that is being written is left for later."""
        if not self._file.exists():
            return []
        lines = self._file.read_bytes().split(b"\n")[:-1]
        return [batch for line in lines for batch in json.loads(line)["resourceLogs"]]

    def records(self) -> list[dict[str, Any]]:
        return [
            record
            for batch in self.batches()
            for scope in batch["scopeLogs"]
            for record in scope["logRecords"]
        ]

    def uids(self) -> list[str]:
        return [attributes(each)["log.record.uid"] for each in self.records()]


@contextmanager
def collector(folder: Path, address: str) -> Iterator[Collected]:
    """Run it until the end of the block; a second one in the same folder adds to its file."""
    program = TOOLS / "collector"
    assert program.is_file(), f"no {program}: run tools/collector-tools.sh"
    config, log, file = folder / "collector.yml", folder / "collector.log", folder / "logs.jsonl"
    config.write_text(CONFIG.format(address=address, file=file))
    with log.open("a") as output:
        process = subprocess.Popen(
            [str(program), f"--config={config}"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: _listens(address, process, log))
        yield Collected(file, process.pid)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _listens(address: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    host, _, port = address.partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS):
            return True
    except OSError:
        return False
