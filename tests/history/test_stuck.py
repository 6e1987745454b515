# SPDX-License-Identifier: Apache-2.0
"""Out of memory without a kill, kept: what goes on, what is over, and a file of its own."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from container_oomkill.history.file import HistoryFile
from container_oomkill.history.form import STUCK
from container_oomkill.history.stuck import StuckHistory
from container_oomkill.stuck.cause import explain
from container_oomkill.stuck.model import SILENT_SECONDS, Stuck

from ..support.incidents import TIME, Clock, container
from ..support.stuck import stuck


def numbered(number: int, *, ended: bool = True, name: str = "app") -> Stuck:
    made = stuck(time=TIME + number, boot_ns=1000 + number, container=container(name))
    return explain(replace(made, stuck=replace(made.stuck, ended=ended)))


def test_what_goes_on_comes_first_and_is_over_once() -> None:
    history = StuckHistory(wall=lambda: TIME + 30)
    history.goes_on(numbered(1, ended=False))
    history.goes_on(numbered(2, ended=False))
    history.goes_on(numbered(1, ended=False))  # a minute later
    history(numbered(3))
    assert [each.boot_ns for each in history.newest_first()] == [1002, 1001, 1003]
    for _ in range(2):
        history(numbered(2))
    assert [each.boot_ns for each in history.newest_first()] == [1001, 1002, 1003]
    assert [each.stuck.ended for each in history.newest_first()] == [False, True, True]


def test_what_goes_on_has_done_so_until_now() -> None:
    wall = Clock(TIME + 30)
    history = StuckHistory(wall=wall)
    history.goes_on(numbered(0, ended=False))
    (found,) = history.newest_first()
    assert found.stuck.seconds == 30
    assert str(found.verdict).endswith("it has gone on for 30.0 s")
    wall.now = TIME - 100  # set back
    assert history.newest_first()[0].stuck.seconds == 3.0


def test_what_is_no_longer_told_has_an_unknown_end() -> None:
    clock = Clock()
    history = StuckHistory(monotonic=clock, wall=lambda: TIME + 30)
    history.goes_on(numbered(0, ended=False))
    clock.now += SILENT_SECONDS
    assert history.newest_first()[0].stuck.ended is False
    clock.now += 1
    for _ in range(2):
        (found,) = history.newest_first()
        assert (found.stuck.ended, found.stuck.seconds) == (None, 3.0)
        assert str(found.verdict).endswith("it had gone on for 3.0 s when last heard of")


def test_a_container_in_a_loop_pushes_out_its_own() -> None:
    history = StuckHistory(64)
    history(numbered(1, name="once"))
    for number in range(2, 200):
        history(numbered(number, name="loop"))
    kept = history.newest_first()
    assert len(kept) == 33
    assert kept[-1].container.name == "once"


def test_the_file_gives_back_what_it_took(tmp_path: Path) -> None:
    path = tmp_path / "history.stuck"
    with closing(opened(path)) as file:
        for number in range(3):
            file(numbered(number))
    lines = path.read_bytes().splitlines(keepends=True)
    with closing(opened(path)) as file:
        assert file.load() == [numbered(number) for number in range(3)]
    path.write_bytes(lines[0] + lines[1].replace(b"471", b"472") + lines[2])
    with closing(opened(path)) as file:
        assert file.load() == [numbered(0), numbered(2)]


def opened(path: Path) -> HistoryFile:
    return HistoryFile(str(path), max_incidents=8, max_bytes=1 << 20, form=STUCK)
