# SPDX-License-Identifier: Apache-2.0
"""Runs the command without any capability, whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys

from .waiting import PATIENCE_SECONDS

# Root stays root, as the owner of files, and nothing more.
WITHOUT = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `container-oomkill`; the result has its output."""
    return python("-m", "container_oomkill", *argv, **environ)


def python(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run this Python."""
    wrap = WITHOUT if os.geteuid() == 0 else ()
    return subprocess.run(
        [*wrap, sys.executable, *argv],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
