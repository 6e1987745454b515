# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill exporter` as a process, and what it serves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from .processes import COMMAND, DEADLINE


@dataclass
class Exporter:
    """`container-oomkill exporter` and where it listens."""

    process: subprocess.Popen[str]
    address: str

    def get(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            text: str = answer.read().decode()
        return text

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz") == "ready\n"
        except urllib.error.HTTPError:
            return False

    def value(self, series: str) -> float | None:
        """The value of a series, as /metrics spells it."""
        found = re.search(rf"(?m)^{re.escape(series)} (\S+)$", self.get("/metrics"))
        return float(found[1]) if found else None


def start(
    hook: str,
    *options: str,
    stdout: int | IO[str] = subprocess.PIPE,
    wrap: Sequence[str] = (),
) -> subprocess.Popen[str]:
    listen = ["--web.listen-address", "127.0.0.1:0"]
    command = [*wrap, sys.executable, str(COMMAND), "exporter", "--hook", hook, *listen, *options]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline().split()[-1]


def incidents(exporter: Exporter, pid: int) -> list[dict[str, Any]]:
    """What it tells of a process; others on this machine may be killed as well."""
    found = json.loads(exporter.get("/api/v1/incidents?limit=1000"))["incidents"]
    return [each for each in found if each["victims"][0]["pid"] == pid]
