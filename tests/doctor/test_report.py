# SPDX-License-Identifier: Apache-2.0
"""The two forms of a report."""

from __future__ import annotations

import io
import json

import pytest

from container_oomkill.doctor.report import COLUMNS, Finding, Report, print_json, print_text


@pytest.fixture
def report() -> Report:
    made = Report(kernel="6.1.2", machine="x86_64", hook="kprobe")
    log = ("invalid argument", "processed 1 insn")
    made.add("hooks", "fentry", Finding(False, "load: invalid argument", "needs 5.5", log))
    made.add("hooks", "kprobe", Finding(True, "attached and detached", "not shown"))
    made.add(
        "runtimes", "docker", Finding(None, "no state found in " + "/a-long/path" * 12, "mount")
    )
    return made


def text(report: Report) -> str:
    out = io.StringIO()
    print_text(report, out)
    return out.getvalue()


def test_text(report: Report) -> None:
    lines = text(report).splitlines()
    assert lines[0].startswith("kernel 6.1.2 x86_64, user ")
    assert "  NO  fentry  load: invalid argument" in lines
    assert "              -> needs 5.5" in lines
    assert "                 processed 1 insn" in lines
    assert "  yes kprobe  attached and detached (in use)" in lines
    assert "not shown" not in text(report)
    assert "  -   docker  no state found in" in lines
    path = next(line for line in lines if "a-long" in line)  # never broken, so that it can be used
    assert path.strip() == "/a-long/path" * 12
    assert all(len(line) <= COLUMNS for line in lines if line != path)
    assert lines[-1] == "OK: attaches with kprobe"
    report.hook = None
    assert text(report).endswith("\n\nFAILED: no hook attaches\n")


def test_json(report: Report) -> None:
    out = io.StringIO()
    print_json(report, out)
    found = json.loads(out.getvalue())
    assert (found["can_attach"], found["hook"], found["kernel"]) == (True, "kprobe", "6.1.2")
    fentry = found["findings"]["hooks"]["fentry"]
    assert fentry == {
        "ok": False,
        "words": "load: invalid argument",
        "remedy": "needs 5.5",
        "log": ["invalid argument", "processed 1 insn"],
    }
    assert found["findings"]["runtimes"]["docker"]["ok"] is None
