# SPDX-License-Identifier: Apache-2.0
"""Measures exec to attached on this machine, compared with a bare Python that starts and exits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.support.kernel.processes import COMMAND

ROUNDS = 15
# As a user's Python: it keeps what it has compiled.
COMPILED_ONCE = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
EXPORTER_OPTIONS = ("exporter", "--web.listen-address", "127.0.0.1:0")


def measure() -> dict[str, list[float]]:
    """Milliseconds of each round; the first, which fills the caches, is not counted."""
    commands = {
        "python": (sys.executable, "-I", "-c", "pass"),
        "probe": (str(COMMAND), "probe"),
        "exporter": (str(COMMAND), *EXPORTER_OPTIONS),
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS + 1):
        for name, command in commands.items():
            taken[name].append(start(command) * 1e3)
    return {name: each[1:] for name, each in taken.items()}


def start(command: Sequence[str]) -> float:
    """Seconds to the first line it says, which is that it is attached, or to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=COMPILED_ONCE
    )
    with process:
        assert process.stderr is not None
        said = process.stderr.readline()
        seconds = time.perf_counter() - started
        process.terminate()
    assert said.startswith(b"container-oomkill: attached with ") or (
        not said and not process.returncode
    ), said.decode()
    return seconds
