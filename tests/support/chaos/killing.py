# SPDX-License-Identifier: Apache-2.0
"""Provokes many real kills in one cgroup, fast."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

from ..kernel.cgroups import Cgroup

SOURCE = Path(__file__).with_name("killer.c")
LIMIT_MIB = 4  # small, so that a kill takes little time


def program(folder: Path) -> Path:
    """killer.c, compiled; or as the environment has it: a guest would take long over it."""
    if made := os.environ.get("OOMKILL_TEST_KILLER"):
        return Path(made)
    built = folder / "killer"
    subprocess.run(["cc", "-O1", "-Wall", "-Werror", str(SOURCE), "-o", str(built)], check=True)
    return built


class Killing:
    """killer.c at work; `pids` waits for its end."""

    def __init__(self, folder: Path, cgroup: Cgroup, count: int, every_ms: int = 0) -> None:
        cgroup.limit(LIMIT_MIB)
        command = [str(program(folder)), f"{cgroup.folder}/cgroup.procs", str(count), str(every_ms)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def going(self) -> bool:
        return self._process.poll() is None

    def pids(self) -> list[int]:
        """The processes killed, in order; fails unless all were."""
        out, _ = self._process.communicate()
        assert self._process.returncode == 0
        return [int(line) for line in out.split()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
