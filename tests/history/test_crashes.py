# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at any moment of writing and replacing the history file costs nothing that was taken."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from container_oomkill.errors import UsageError

from ..support.history import names, numbers, opened, write

WRITER = """
import sys
from container_oomkill.history.file import HistoryFile
from tests.support.incidents import incident
file = HistoryFile(sys.argv[1], max_incidents=int(sys.argv[2]), max_bytes=1 << 20)
number = max((each.sequence for each in file.load()), default=0)
while True:
    number += 1
    file(incident(number))
    print(number, flush=True)
"""

# Forks, as starting Python for each step would take minutes.
STEPS = """
import json, os, shutil, signal, sys
from pathlib import Path
from tests.support.history import names, numbers, opened
from tests.support.incidents import incident

before, work = Path(sys.argv[1]), Path(sys.argv[2])
made = incident(9)
step, status = 0, None
while status != 0:
    step += 1
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(before, work)
    child = os.fork()
    if child == 0:
        left = step
        def at_step(frame, event, called):
            global left
            if event == "c_call" and frame.f_code.co_filename.endswith("/locked_file.py"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(at_step)
        opened(work / "history", max_incidents=4)(made)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    there = names(work / "history")
    kept = numbers(work / "history", max_incidents=4)
    print(json.dumps([there, kept, names(work / "history")]), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history"


@pytest.mark.parametrize("most", [100, 3], ids=["appending", "replacing"])
def test_sigkill_costs_nothing_that_was_taken(path: Path, most: int) -> None:
    chance = random.Random(1)
    written = 0
    for _ in range(25):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(most)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                written = int(writer.stdout.readline())
            time.sleep(chance.random() / 200)  # anywhere within the next
            writer.kill()
            rest = writer.stdout.read().split("\n")[:-1]
            written = int(rest[-1]) if rest else written
        kept = numbers(path, max_incidents=most)
        # One more may have been written and not yet told.
        assert kept[-1] in (written, written + 1)
        assert kept == list(range(kept[-1] - len(kept) + 1, kept[-1] + 1))
        assert len(kept) == min(most, kept[-1])
    assert names(path) == ["history"]


def killed_at_every_step(folder: Path) -> list[tuple[list[str], list[int], list[str]]]:
    """For each step of opening it and writing incident 9: what there was, was read, was left."""
    done = subprocess.run(
        [sys.executable, "-c", STEPS, str(folder), str(folder.with_name("work"))],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) > 20
    assert ["history", "history.rewriting"] in [there for there, _, _ in outcomes]
    assert outcomes[-1][1] == [6, 7, 8, 9]
    return outcomes


def test_sigkill_at_every_step_of_replacing_leaves_the_one_or_the_other(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    write(before / "history", 8, max_incidents=4)  # the next one replaces it
    for _, kept, left in killed_at_every_step(before):
        assert kept in ([5, 6, 7, 8], [6, 7, 8, 9])
        assert left == ["history"]


def test_sigkill_at_every_step_of_mending_costs_nothing(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    write(before / "history", 8)
    damaged = b"x" + (before / "history").read_bytes()
    (before / "history").write_bytes(damaged)
    asides = 0
    for _, kept, left in killed_at_every_step(before):
        assert kept in ([5, 6, 7, 8], [6, 7, 8, 9])
        asides = max(asides, len(left) - 1)
    assert asides == 2  # killed after the one, before the file took its place


def test_two_processes(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "3"], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(40):  # it replaces the file again and again meanwhile
            writer.stdout.readline()
            with pytest.raises(UsageError, match="in use by another process"):
                opened(path)
        writer.kill()
    assert len(numbers(path, max_incidents=3)) == 3
