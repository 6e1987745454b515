# SPDX-License-Identifier: Apache-2.0
"""Command lines of real processes, by pid and start; and none of anybody else's."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_oomkill.incident.cmdline import MOST, CommandLines
from container_oomkill.incident.model import Incident
from container_oomkill.units import NS

from ..support.incidents import incident, victim

TICK_NS = NS // 100
ODD = ["a b", "it's", "\x1b[31m", "--password=x"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that has its final command line, and a name that looks like fields of stat."""
    name = "import pathlib; pathlib.Path('/proc/self/comm').write_text(') R 1 2 (');"
    code = name + "print(flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code, *ODD], stdin=pipe, stdout=pipe) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started
        started.kill()


def start_ns(pid: int) -> int:
    """The start of its clock tick, since boot."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[19]) * TICK_NS


def killed(pid: int | None, started_ns: int) -> Incident:
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    one = victim(pid=pid, cmdline=None, uptime_seconds=(now - started_ns) / NS)
    return incident(victims=(one,), boot_ns=now)


def found(given: Incident) -> str | None:
    return CommandLines()(given).victims[0].cmdline


def test_it_is_read_as_one_would_type_it(process: subprocess.Popen[bytes]) -> None:
    cmdline = found(killed(process.pid, start_ns(process.pid) + TICK_NS // 2))
    assert cmdline is not None
    assert cmdline.startswith(f"{sys.executable} -c '")
    assert cmdline.endswith("""'a b' 'it'"'"'s' '\x1b[31m' --password=x""")


def test_one_that_started_at_another_time_is_not_it(process: subprocess.Popen[bytes]) -> None:
    start = start_ns(process.pid)
    assert found(killed(process.pid, start)) is not None
    assert found(killed(process.pid, start + TICK_NS - 1)) is not None
    assert found(killed(process.pid, start - TICK_NS // 2)) is None
    assert found(killed(process.pid, start + TICK_NS * 3 // 2)) is None


def test_a_process_that_is_gone(process: subprocess.Popen[bytes]) -> None:
    given = killed(process.pid, start_ns(process.pid))
    process.kill()
    while Path(f"/proc/{process.pid}/cmdline").read_bytes():
        time.sleep(0.01)
    assert found(given) is None  # a zombie: its memory is gone
    process.wait()
    assert CommandLines()(given) == given


def test_nothing_is_looked_for_without_pid_or_start() -> None:
    for unknown in ({"pid": None}, {"uptime_seconds": None}):
        given = incident(victims=(victim(**unknown),))
        assert CommandLines()(given) is given


def test_the_kernels_word_stays(process: subprocess.Popen[bytes]) -> None:
    given = killed(process.pid, start_ns(process.pid))
    told = given.changed(victims=(victim(pid=process.pid, cmdline="./told"),))
    assert found(told) == "./told"


def test_a_long_one_is_cut_visibly(tmp_path: Path) -> None:
    stat = "7 (x) " + " ".join(["R", *["0"] * 18, "500", "0"])
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(stat)
    given = incident(boot_ns=8 * NS, victims=(victim(pid=7, uptime_seconds=3.0),))
    for size, expected in ((MOST - 1, "x" * (MOST - 1)), (MOST, "x" * MOST + "…")):
        (tmp_path / "7" / "cmdline").write_text("x" * size + "\0")
        (one,) = CommandLines(proc=str(tmp_path))(given).victims
        assert one.cmdline == expected
