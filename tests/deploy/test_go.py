# SPDX-License-Identifier: Apache-2.0
"""Whoever has no Go, or one too old for our modules, is told so in one line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/go.sh"


def ask(folder: Path, version: str | None) -> subprocess.CompletedProcess[str]:
    """Where Go says it is of ``version``, or where there is none."""
    (folder / "sed").symlink_to(str(shutil.which("sed")))
    if version is not None:
        (folder / "go").write_text(f"#!/bin/sh\n[ $2 = GOVERSION ] && echo '{version}'\n")
        (folder / "go").chmod(0o755)
    environ = {"PATH": str(folder)}
    return subprocess.run(["/bin/sh", SCRIPT], env=environ, capture_output=True, text=True)


@pytest.mark.parametrize("version", ["go1.21.0", "go1.26.8", "devel go1.27-4f2a1c Thu"])
def test_it_fetches_what_modules_ask_for(tmp_path: Path, version: str) -> None:
    done = ask(tmp_path, version)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("version", ["go1.19.8", "go1.20", None])
def test_too_old_or_none(tmp_path: Path, version: str | None) -> None:
    done = ask(tmp_path, version)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("install Go 1.21 or newer")
    assert line.endswith(f"here is {version or 'none'}")
