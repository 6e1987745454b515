# SPDX-License-Identifier: Apache-2.0
"""A hook that this kernel is known not to have, by tests/vm/kernels.toml: refused in words.

The kernel matrix asks for it by name; by itself pytest does not collect it.
"""

from __future__ import annotations

import json
import subprocess
import sys

from container_oomkill.probe.attach import PROGRAMS

from ..support.kernel.command import run
from ..support.kernel.processes import COMMAND, DEADLINE


def test_forced_it_is_refused(hook: str) -> None:
    done = run("probe", "--hook", hook)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("container-oomkill: no hook can be attached")
    assert f"({hook}: " in done.stderr


def test_the_next_hook_takes_its_place(hook: str) -> None:
    hooks = list(PROGRAMS)
    command = [sys.executable, str(COMMAND), "probe"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as probe:
        assert probe.stderr is not None
        said = probe.stderr.readline()
        probe.terminate()
        assert probe.wait(DEADLINE) == 0
    assert said == f"container-oomkill: attached with {hooks[hooks.index(hook) + 1]}\n"


def test_doctor_says_what_it_would_need(hook: str) -> None:
    report = json.loads(run("doctor", "-o", "json").stdout)
    finding = report["findings"]["hooks"][hook]
    assert finding["ok"] is False
    assert finding["remedy"]
    assert report["hook"] != hook
    assert report["can_attach"] is True
