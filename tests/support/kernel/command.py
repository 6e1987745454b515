# SPDX-License-Identifier: Apache-2.0
"""The command, run to its end, and how it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from .processes import COMMAND, DEADLINE


def run(*argv: str, wrap: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [*wrap, sys.executable, str(COMMAND), *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)


def assert_refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """One clear line on stderr, nothing on stdout, the promised exit status."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("container-oomkill: ")
    for word in words:
        assert word in done.stderr
