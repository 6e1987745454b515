# SPDX-License-Identifier: Apache-2.0
"""The history file: what it keeps, what it refuses, and what it does without room."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest

from container_oomkill.cli.recording import replay
from container_oomkill.cli.show import read_latest
from container_oomkill.errors import Error, UsageError
from container_oomkill.history.lines import sealed
from container_oomkill.sinks.json_lines import JsonLines, render

from ..support.history import files_no_larger_than, names, numbers, opened, refused, write
from ..support.incidents import incident, victim


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history"


def test_what_was_written_is_there_again(path: Path) -> None:
    given = [incident(1), incident(2, candidates=None, victims=(victim(command="é\x00"),))]
    with closing(opened(path)) as file:
        assert file.load() == []
        for each in [*given, given[0]]:  # a pinned ring gives one again
            file(each)
    with closing(opened(path)) as file:
        assert file.load() == given
        file(given[1])
    assert path.read_bytes() == b"".join(sealed(render(each).encode()) + b"\n" for each in given)
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(path) == ["history"]


def test_the_oldest_go_by_number(path: Path) -> None:
    write(path, 30, max_incidents=10)
    assert numbers(path, max_incidents=10) == list(range(21, 31))
    assert numbers(path, max_incidents=4) == [27, 28, 29, 30]
    # The file has more: replacing it for every incident would write it all each time.
    assert numbers(path)[-10:] == list(range(21, 31))
    assert len(numbers(path)) <= 20


def test_the_oldest_go_by_size_and_the_file_stays_within_it(path: Path) -> None:
    with closing(opened(path, max_bytes=128 << 10)) as file:
        for number in range(1, 101):
            # from one page to ten
            file(incident(number, victims=(victim(),) * (1 + number % 30)))
            assert path.stat().st_size <= 128 << 10
    kept = numbers(path)
    assert kept == list(range(kept[0], 101))
    assert len(kept) > 3
    with closing(opened(path)) as file:
        assert file.had_more


def test_one_that_is_too_large_is_counted_and_costs_no_other(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[None] = []
    with closing(opened(path, max_bytes=1 << 16, on_lost=lambda: lost.append(None))) as file:
        for number in (1, 2):
            file(incident(number))
            file(incident(9, victims=(victim(),) * 100))
    assert numbers(path) == [1, 2]
    assert len(lost) == 2
    assert "larger than --history.max-bytes" in capsys.readouterr().err


@pytest.mark.parametrize("victims", range(70, 75))
def test_one_that_just_fits_takes_the_place_of_all_others(path: Path, victims: int) -> None:
    large = incident(3, victims=(victim(),) * victims)
    size = len(sealed(render(large).encode())) + 2
    with closing(opened(path, max_bytes=size)) as file:
        for each in (incident(1), incident(2), large):
            file(each)
    assert path.stat().st_size == size
    assert numbers(path) == [3]


def test_it_is_a_recording(path: Path) -> None:
    """What reads `probe -o json` reads it, with older ones gone as well."""
    write(path, 9, max_incidents=4)
    assert path.read_bytes().startswith(b"\n{")
    shown = StringIO()
    replay(str(path), JsonLines(shown))
    replayed = [json.loads(line)["sequence"] for line in shown.getvalue().splitlines()]
    assert replayed == numbers(path)
    latest, error = read_latest(str(path))
    assert [each.sequence for each in latest] == replayed
    assert error is None


def test_a_recording_is_a_history(path: Path) -> None:
    path.write_text(render(incident(1)) + "\n" + render(incident(2)))
    with closing(opened(path)) as file:
        assert [each.sequence for each in file.load()] == [1, 2]
        file(incident(3))
    assert numbers(path) == [1, 2, 3]


def test_a_link_to_it_stays_one(path: Path) -> None:
    link = path.parent / "link"
    link.symlink_to(path)
    write(link, 9, max_incidents=4)
    assert link.is_symlink()
    assert numbers(path, max_incidents=4) == [6, 7, 8, 9]


def test_a_full_disk_is_said_once_and_when_there_is_room_it_goes_on(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[None] = []
    with closing(opened(path, on_lost=lambda: lost.append(None))) as file:
        file(incident(1))
        with files_no_larger_than(6_000):
            for number in range(2, 6):
                file(incident(number))
            assert 2 <= len(lost) <= 4
        file(incident(6))
    kept = numbers(path)
    assert (kept[0], kept[-1], len(kept)) == (1, 6, 6 - len(lost))
    errors = capsys.readouterr().err
    assert errors.count(f"container-oomkill: write the history {path}: ") == 1
    assert errors.count("\n") == 1


def test_what_a_full_disk_keeps_from_being_mended_is_no_reason_not_to_watch(path: Path) -> None:
    damaged = b"x" + render(incident(1)).encode() + b"\n" + render(incident(2)).encode() + b"\n"
    path.write_bytes(damaged)
    with files_no_larger_than(3_000), pytest.raises(Error) as error:
        opened(path)
    assert not isinstance(error.value, UsageError)
    assert path.read_bytes() == damaged
    assert names(path) == ["history"]
    assert numbers(path) == [1, 2]


def test_where_it_cannot_be_replaced_it_grows_to_its_size(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[None] = []
    with closing(
        opened(path, max_incidents=4, max_bytes=1 << 16, on_lost=lambda: lost.append(None))
    ) as file:
        in_the_way = path.with_name("history.rewriting")
        in_the_way.mkdir()
        for number in range(1, 41):
            file(incident(number))
        assert 0 < len(lost) < 20
        assert "is a directory" in capsys.readouterr().err
        in_the_way.rmdir()
        file(incident(41))
    last = 40 - len(lost)
    assert numbers(path) == [last - 2, last - 1, last, 41]


def test_another_programs_file_is_left_alone(path: Path) -> None:
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")
    assert "not a history of container-oomkill: use another --history" in refused(path)
    path.write_text('{"name": "somebody else\'s"}\n')
    assert "not a history of container-oomkill" in refused(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE bookmarks (name)")
        made.commit()
    assert "not a history of container-oomkill" in refused(path)
    assert names(path) == ["history"]


def test_what_cannot_be_opened_is_one_line(path: Path) -> None:
    assert "is a directory" in refused(path.parent)
    assert "no such directory" in refused(path / "no" / "such")
    assert "not a regular file" in refused(Path("/dev/null"))
    os.mkfifo(path.with_name("pipe"))
    assert "not a regular file" in refused(path.with_name("pipe"))
    # Not even root may write there.
    assert "the directory must belong to user" in refused(Path("/sys/history"))


def test_only_one_has_it_before_and_after_it_was_replaced(path: Path) -> None:
    with closing(opened(path, max_incidents=2)) as file:
        for number in range(1, 8):
            file(incident(number))
            assert "in use by another process" in refused(path)
    assert numbers(path, max_incidents=2) == [6, 7]


def test_a_record_of_a_later_schema_is_passed_over_and_kept(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(path, 5)
    later = json.dumps({"schema": 2, "id": "x", "text": "é"}, ensure_ascii=False)
    with path.open("a") as file:
        file.write(later + "\n")
    assert numbers(path) == [1, 2, 3, 4, 5]
    assert "has 1 incidents of a later version" in capsys.readouterr().err
    assert later in path.read_text()
    with closing(opened(path, max_incidents=3)) as kept:
        kept(incident(6))  # the file has twice as many as are kept
    assert later in path.read_text()
    assert numbers(path) == [5, 6]


def test_a_later_versions_file_is_left_alone(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = b'{"schema":2,"id":"x","victims":[]}\n' * 3
    path.write_bytes(later)
    assert numbers(path) == []
    assert path.read_bytes() == later
    assert names(path) == ["history"]
    assert "has 3 incidents of a later version" in capsys.readouterr().err
