# SPDX-License-Identifier: Apache-2.0
"""Streams that nobody reads, as a process inherits them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.waiting import PATIENCE_SECONDS

SAYING = """
import sys
from container_oomkill.system import standard_streams
standard_streams.prepare()
for _ in range(3):
    print("said", file=sys.stderr)
print("recorded")
"""


@pytest.fixture(params=["nobody reads it", "full"])
def stderr(request: pytest.FixtureRequest) -> int:
    if request.param == "full":
        return os.open("/dev/full", os.O_WRONLY)
    read, write = os.pipe()
    os.close(read)
    return write


def test_what_cannot_be_said_ends_nothing(stderr: int) -> None:
    command = [sys.executable, "-c", SAYING]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=stderr, text=True)
    os.close(stderr)
    assert (done.returncode, done.stdout) == (0, "recorded\n")


def test_a_wrong_option_is_one_also_if_nobody_reads_it(stderr: int) -> None:
    command = [sys.executable, "-m", "container_oomkill", "probe", "--nonsense"]
    assert subprocess.run(command, check=False, stderr=stderr).returncode == 2
    os.close(stderr)


def test_a_path_is_told_as_it_was_given(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "container_oomkill", "replay", str(tmp_path / "Nope")]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert f"{tmp_path}/Nope" in done.stderr


WRITING = """
import os, select, sys, threading
from container_oomkill.cli.main import ended
from container_oomkill.errors import StuckError
from container_oomkill.system import standard_streams

def run():
    threading.Thread(target=write, daemon=True).start()
    full = select.poll()
    full.register(1, select.POLLOUT)
    while full.poll(0):
        pass
    {end}

def write():
    while True:
        sys.stdout.write("record" * 10_000)

sys.exit(ended(run))
"""
ENDS = {
    "asked to": ("raise StuckError('stopped while stdout was blocked')", 1),
    "by itself": ("standard_streams.abandon_stdout(); return 0", 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_thread_that_waits_for_a_reader_does_not_hold_up_the_end(end: str) -> None:
    read, write = os.pipe()  # which nobody reads
    how, status = ENDS[end]
    command = [sys.executable, "-c", WRITING.replace("{end}", how)]
    with subprocess.Popen(command, stdout=write, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
            os.close(read)
            os.close(write)
    assert process.returncode == status, errors
    assert "Fatal" not in errors
