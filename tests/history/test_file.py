# SPDX-License-Identifier: Apache-2.0
"""The history file: whatever happens to it or to who writes it, it opens again."""

from __future__ import annotations

import json
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.samples import Sample

from container_oomkill.errors import Error, UsageError
from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.history.file import APPLICATION_ID, HistoryFile
from container_oomkill.history.history import History, Query
from container_oomkill.incident.model import Incident

from ..support.exporter_process import running
from ..support.incidents import FakeProbe, incident, victim

WRITER = """
import sys
from container_oomkill.history.file import HistoryFile
from tests.support.incidents import incident
file = HistoryFile(sys.argv[1], max_incidents=100, max_bytes=1 << 20)
number = max((each.sequence for each in file.load()), default=0)
while True:
    number += 1
    file(incident(number))
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history"


def opened(path: Path, **changes: Any) -> HistoryFile:
    return HistoryFile(str(path), **({"max_incidents": 256, "max_bytes": 16 << 20} | changes))


def numbers(path: Path, **changes: Any) -> list[int]:
    """The sequences that are in the file."""
    with closing(opened(path, **changes)) as file:
        return [each.sequence for each in file.load()]


def write(path: Path, count: int, **changes: Any) -> None:
    with closing(opened(path, **changes)) as file:
        for number in range(1, count + 1):
            file(incident(number))


def put(folder: Path, files: dict[str, bytes]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / "history"


def test_what_was_written_is_there_again(path: Path) -> None:
    given = [incident(1), incident(2, candidates=None, victims=(victim(command="é\x00"),))]
    with closing(opened(path)) as file:
        assert file.load() == []
        for each in [*given, given[0]]:  # a pinned ring gives one again
            file(each)
    with closing(opened(path)) as file:
        assert file.load() == given
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["history"]


def test_the_oldest_go_by_number(path: Path) -> None:
    write(path, 30, max_incidents=10)
    assert numbers(path) == list(range(21, 31))
    assert numbers(path, max_incidents=4) == [27, 28, 29, 30]


def test_the_oldest_go_by_size_and_the_file_stays_within_it(path: Path) -> None:
    with closing(opened(path, max_bytes=128 << 10)) as file:
        for number in range(1, 101):
            # from one page to ten
            file(incident(number, victims=(victim(),) * (1 + number % 30)))
            assert path.stat().st_size <= 128 << 10
    kept = numbers(path)
    assert kept == list(range(kept[0], 101))
    assert len(kept) > 3


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


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Writes beyond fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_once_and_when_there_is_room_it_goes_on(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[None] = []
    with closing(opened(path, on_lost=lambda: lost.append(None))) as file:
        file(incident(1))
        with files_no_larger_than(40_000):
            for number in range(2, 6):
                file(incident(number))
            assert 2 <= len(lost) <= 4
        file(incident(6))
    kept = numbers(path)
    assert (kept[0], kept[-1], len(kept)) == (1, 6, 6 - len(lost))
    errors = capsys.readouterr().err
    assert errors.count(f"container-oomkill: write the history {path}: ") == 1
    assert errors.count("\n") == 1


def test_no_file_on_a_full_disk_is_no_reason_not_to_watch(path: Path) -> None:
    with files_no_larger_than(100), pytest.raises(Error) as error:
        opened(path)
    assert not isinstance(error.value, UsageError)
    assert numbers(path) == []


def test_sigkill_costs_nothing_that_was_taken(path: Path) -> None:
    chance = random.Random(1)
    written = 0
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                written = int(writer.stdout.readline())
            writer.kill()
            rest = writer.stdout.read().split("\n")[:-1]
            written = int(rest[-1]) if rest else written
        kept = numbers(path)
        # One more may have been written and not yet told.
        assert kept[-1] in (written, written + 1)
        assert kept == list(range(kept[-1] - len(kept) + 1, kept[-1] + 1))
        assert len(kept) == min(100, kept[-1])
    assert [each.name for each in path.parent.iterdir()] == ["history"]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Twelve incidents as SIGKILL leaves them: in the log beside the file."""
    path = tmp_path_factory.mktemp("crashed") / "history"
    with closing(opened(path)) as file:
        for number in range(1, 13):
            file(incident(number))
        return {each.name: each.read_bytes() for each in path.parent.iterdir()}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same, as an orderly end leaves them: in one file."""
    path = tmp_path_factory.mktemp("closed") / "history"
    write(path, 12)
    return path.read_bytes()


def cuts(size: int, step: int) -> list[int]:
    """Offsets all over a file, at pages' ends and beside them, the last byte's among them."""
    edges = range(0, size, 4096)
    near = {edge + by for edge in edges for by in (-1, 0, 1, 24, 32)}
    return sorted(cut for cut in near | set(range(0, size, step)) | {size - 1} if 0 <= cut < size)


def check_prefixes(found: list[list[int]]) -> None:
    """Longer files have more, from the first on; the longest cut lacks the last alone."""
    for each in found:
        assert each == list(range(1, len(each) + 1))
    assert [len(each) for each in found] == sorted(len(each) for each in found)
    assert found[-1] == list(range(1, 12))


def test_the_log_cut_at_any_byte_lacks_the_last(tmp_path: Path, crashed: dict[str, bytes]) -> None:
    log = crashed["history-wal"]
    found = []
    for cut in cuts(len(log), 997):
        path = put(tmp_path / "cut", crashed | {"history-wal": log[:cut]})
        found.append(numbers(path))
        assert [each.name for each in path.parent.iterdir()] == ["history"]
    check_prefixes(found)


def test_the_file_cut_at_any_byte_lacks_the_last(
    tmp_path: Path, closed: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for cut in cuts(len(closed), 499):
        path = put(tmp_path / "cut", {"history": closed[:cut]})
        found.append(numbers(path))
        said = capsys.readouterr().err
        if cut:  # nothing is lost of an empty file
            [aside] = path.parent.glob("history.broken-*")
            assert aside.read_bytes() == closed[:cut]
            assert said == (
                f"container-oomkill: the history {path} was damaged: it is {aside} now, and "
                f"{len(found[-1])} incidents of it were kept\n"
            )
        assert numbers(path) == found[-1]
        assert capsys.readouterr().err == ""
    check_prefixes(found)


def test_rubbish_in_the_middle_costs_what_was_there(tmp_path: Path, closed: bytes) -> None:
    chance = random.Random(2)
    for _ in range(40):
        at = chance.randrange(100, len(closed) - 200)
        broken = closed[:at] + chance.randbytes(200) + closed[at + 200 :]
        path = put(tmp_path / "broken", {"history": broken})
        first = numbers(path)
        assert set(first) <= set(range(1, 13))
        with closing(opened(path)) as file:
            file(incident(13))
        assert numbers(path)[-1] == 13


def test_a_log_without_its_file_is_not_thrown_away(
    path: Path, crashed: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    log = path.with_name("history-wal")
    log.write_bytes(crashed["history-wal"])
    assert numbers(path) == []
    [aside] = path.parent.glob("history.broken-*-wal")
    assert aside.read_bytes() == crashed["history-wal"]
    assert "was damaged" in capsys.readouterr().err


def database(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as made:
        for statement in statements:
            made.execute(statement)
        made.commit()


def refused(path: Path) -> str:
    """The message; the file is as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UsageError) as error:
        opened(path)
    assert before is None or path.read_bytes() == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_another_programs_file_is_left_alone(path: Path) -> None:
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")
    assert "is not one of container-oomkill: give another --history" in refused(path)
    path.unlink()
    database(path, "CREATE TABLE bookmarks (name)")
    assert "is not one of container-oomkill" in refused(path)
    assert [each.name for each in path.parent.iterdir()] == ["history"]


def test_what_cannot_be_opened_is_one_line(path: Path) -> None:
    assert "Is a directory" in refused(path.parent)
    assert "its folder does not exist" in refused(path / "no" / "such")
    with closing(opened(path)):
        assert "another process has it" in refused(path)


def test_a_later_versions_file_is_left_alone(path: Path) -> None:
    database(path, f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 2")
    assert "a later version of container-oomkill wrote it" in refused(path)


def test_a_record_of_a_later_schema_is_passed_over_and_kept(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(path, 2)
    later = json.dumps({"schema": 2}).encode().hex()
    database(path, f"INSERT INTO incident (id, record) VALUES ('x', x'{later}')")
    assert numbers(path) == [1, 2]
    assert "has 1 incidents that cannot be read here" in capsys.readouterr().err
    assert numbers(path) == [1, 2]


def ask(address: str) -> list[dict[str, Any]]:
    with urlopen(f"http://{address}/api/v1/incidents", timeout=20) as answer:
        incidents: list[dict[str, Any]] = json.loads(answer.read())["incidents"]
        return incidents


def test_yesterdays_kill_is_shown_after_a_restart(path: Path) -> None:
    with running("--history", str(path)) as exporter:
        exporter.tell("kill yesterday")
    with running("--history", str(path)) as exporter:
        exporter.tell("kill today")
        names = [each["container"]["name"] for each in ask(exporter.address)]
    assert names == ["today", "yesterday"]


def keeping(path: Path) -> Exporter:
    settings = ExporterSettings(history=str(path), max_incidents=4)
    return Exporter(settings, FakeProbe(), version="1", render=str)


def test_the_exporter_goes_on_where_the_disk_does_not(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exporter = keeping(path)
    with files_no_larger_than(100):
        assert exporter.keep() is None
    assert capsys.readouterr().err.endswith(": going on without it\n")
    with pytest.raises(UsageError):
        keeping(path.parent).keep()
    path.unlink(missing_ok=True)
    kept = exporter.keep()
    assert kept is not None
    with files_no_larger_than(20_000):
        for number in range(1, 9):
            kept(incident(number))
        kept.close()
    lost = {sample.labels["reason"]: sample.value for sample in losses(exporter)}
    assert 1 <= lost["history"] <= 8


def losses(exporter: Exporter) -> list[Sample]:
    families = exporter.metrics.collect()
    return next(each.samples for each in families if each.name == "container_oomkill_lost")


def test_no_more_are_loaded_than_are_shown(path: Path) -> None:
    write(path, 9)
    exporter = keeping(path)
    kept = exporter.keep()
    assert kept is not None
    kept.close()
    assert [each.sequence for each in exporter.history.find(Query())] == [9, 8, 7, 6]
    assert numbers(path) == list(range(1, 10))  # until the next is written


@pytest.mark.parametrize(("written", "gone"), [(3, False), (4, False), (5, True), (9, True)])
def test_a_history_that_let_some_go_is_not_all_there_was(
    path: Path, written: int, gone: bool
) -> None:
    write(path, written, max_incidents=4)
    exporter = keeping(path)
    kept = exporter.keep()
    assert kept is not None
    kept.close()
    oldest = incident(max(1, written - 3)).time
    assert exporter.history.kept_since() == (oldest if gone else None)


def shown(*incidents: Incident) -> History:
    history = History()
    for each in incidents:
        history(each)
    return history


def test_one_that_comes_again_is_shown_once() -> None:
    assert shown(incident(1), incident(1)).find(Query()) == [incident(1)]


def test_a_sequence_is_of_the_latest_start_of_the_probe() -> None:
    before = [incident(n, time=float(n), boot_ns=n) for n in (7, 8)]
    after = [incident(n, time=100.0 + n, boot_ns=100 + n) for n in (1, 2)]
    history = shown(*before, *after)
    assert history.find(Query(after_sequence=1)) == [after[1]]
    assert history.find(Query(after_sequence=0)) == [after[1], after[0]]
    assert len(history.find(Query())) == 4
