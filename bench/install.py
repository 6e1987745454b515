# SPDX-License-Identifier: Apache-2.0
"""Installs the newest wheel of dist/ as a user has it: .pyc files, no sources."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def install(folder: Path, wheels: Path = Path("dist")) -> Path:
    """Make a virtual environment with the distribution's Python and return its interpreter."""
    found = sorted(wheels.glob("container_oomkill-*.whl"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit("bench: no wheel in dist/: make wheel")
    base = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([base, "-m", "venv", str(folder)], check=True)
    python = folder.absolute() / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", str(found[-1])], check=True)
    return python
