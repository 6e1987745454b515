# SPDX-License-Identifier: Apache-2.0
"""Kills by others, kept: in memory by container, and in a file of their own."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from container_oomkill.history.file import HistoryFile
from container_oomkill.history.form import KILLS
from container_oomkill.history.kills import KillHistory
from container_oomkill.incident.model import Container
from container_oomkill.killers.cause import explain
from container_oomkill.killers.model import Kill

from ..support.kills import kill


def numbered(number: int, name: str = "cart") -> Kill:
    made = explain(kill(container=Container("ab" * 32, name, "docker"), pid=number))
    return replace(made, boot_ns=made.boot_ns + number)


def test_newest_first_and_none_twice() -> None:
    history = KillHistory()
    for number in (1, 2, 2):
        history(numbered(number))
    assert [each.target.pid for each in history.newest_first()] == [2, 1]


def test_a_container_in_a_loop_pushes_out_its_own() -> None:
    history = KillHistory(64)
    history(numbered(1, "once"))
    for number in range(2, 200):
        history(numbered(number, "loop"))
    for number in range(200, 300):
        history(numbered(number, f"app-{number % 8}"))
    kept = history.newest_first()
    assert len(kept) == 64
    assert kept[-1].container.name == "once"


def test_the_file_gives_back_what_it_took(tmp_path: Path) -> None:
    path = tmp_path / "history.kills"
    with closing(opened(path)) as file:
        for number in range(3):
            file(numbered(number))
    with closing(opened(path)) as file:
        assert file.load() == [numbered(number) for number in range(3)]


def test_a_damaged_file_keeps_what_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "history.kills"
    with closing(opened(path)) as file:
        for number in range(3):
            file(numbered(number))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"nginx", b"nginy") + lines[2])
    with closing(opened(path)) as file:
        assert [each.target.pid for each in file.load()] == [0, 2]


def opened(path: Path) -> HistoryFile:
    return HistoryFile(str(path), max_incidents=8, max_bytes=1 << 20, form=KILLS)
