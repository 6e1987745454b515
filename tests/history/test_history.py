# SPDX-License-Identifier: Apache-2.0
"""What the exporter shows of earlier runs, and goes on without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.samples import Sample

from container_oomkill.errors import UsageError
from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.history.history import History
from container_oomkill.incident.model import Incident
from container_oomkill.sinks.json_lines import render
from container_oomkill.sinks.query import Query

from ..support.exporter_process import running
from ..support.history import files_no_larger_than, numbers, write
from ..support.incidents import FakeProbe, incident
from ..support.waiting import PATIENCE_SECONDS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history"


def ask(address: str) -> list[dict[str, Any]]:
    with urlopen(f"http://{address}/api/v1/incidents", timeout=PATIENCE_SECONDS) as answer:
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
    path.write_text("x" + render(incident(1)) + "\n")  # to be mended, which takes room
    with files_no_larger_than(100):
        assert exporter.keep() is None
    assert capsys.readouterr().err.endswith(": continuing without history\n")
    with pytest.raises(UsageError):
        keeping(path.parent).keep()
    path.unlink(missing_ok=True)
    kept = exporter.keep()
    assert kept is not None
    with files_no_larger_than(10_000):
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
