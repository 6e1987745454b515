# SPDX-License-Identifier: Apache-2.0
"""`make demo` shows the kill that it provokes, whatever else is killed meanwhile."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from container_oomkill.exporter.settings import LISTEN_ADDRESS

from ..support.kernel.demo import NEXT
from ..support.kernel.processes import DEADLINE


@pytest.mark.needs("no emulation")
def test_it_shows_its_own_kill_and_ends() -> None:
    others = [sys.executable, "-m", "tests.support.kernel.foreign_kills", "600"]
    with subprocess.Popen(others, stdout=subprocess.PIPE, text=True) as foreign:
        try:
            assert foreign.stdout is not None
            assert "OOM kills a second in" in foreign.stdout.readline()
            demo = [sys.executable, "-m", "tests.support.kernel.demo"]
            done = subprocess.run(
                demo, capture_output=True, text=True, check=False, timeout=2 * DEADLINE
            )
        finally:
            foreign.terminate()
    assert done.returncode == 0, done.stderr
    (cgroup,) = re.findall(r"starts in (/oomkill-demo-\d+), limited to 32 MiB", done.stdout)
    (headline,) = [line for line in done.stdout.splitlines() if "  OOM  " in line]
    assert f"  {cgroup.removeprefix('/')}  limit 32.0 MiB reached (its own" in headline
    assert done.stdout.endswith(NEXT)
    assert "make run" in NEXT
    assert f"http://localhost{LISTEN_ADDRESS}/" in NEXT
