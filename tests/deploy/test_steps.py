# SPDX-License-Identifier: Apache-2.0
"""tools/step.sh: what `make` says while it installs."""

from __future__ import annotations

import os
import re
import subprocess

from ..support.manifests import DEPLOY

STEP = str(DEPLOY.parent / "tools" / "step.sh")


def run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "V"} | environ
    return subprocess.run([STEP, *argv], env=env, capture_output=True, text=True, check=False)


def test_a_step_is_one_line_with_its_seconds() -> None:
    done = run("installing x y", "sh", "-c", "echo noise; echo more >&2")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"installing x y \.\.\. \d+ s\n", done.stdout)


def test_one_that_fails_shows_why() -> None:
    done = run("installing x", "sh", "-c", "echo no room; exit 100")
    assert (done.returncode, done.stdout) == (100, "installing x ... failed\n")
    assert done.stderr == "no room\n"


def test_everything_is_shown_on_demand() -> None:
    done = run("installing x", "sh", "-c", "echo noise; exit 3", V="1")
    assert done.returncode == 3
    assert done.stdout.endswith("\nnoise\n")
