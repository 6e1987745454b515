# SPDX-License-Identifier: Apache-2.0
"""Malicious and damaged recordings: one clear error, never a traceback, never an endless line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.cli.recording import replay
from container_oomkill.cli.show import read_latest
from container_oomkill.errors import RecordError
from container_oomkill.incident.model import Domain, Trigger
from container_oomkill.sinks.formats import open_sink
from container_oomkill.sinks.record import to_object

from ..support.incidents import incident


@pytest.mark.parametrize("output", ["text", "json", "logfmt"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("victims", 0, "user_seconds"), 10**400),
        (("victims", 0, "uptime_seconds"), float("inf")),
        (("victims", 0, "uptime_seconds"), float("nan")),
        (("victims", 0, "rss", "anon_bytes"), 10**400),
        (("domain", "limit_bytes"), 10**300),
        (("victims", 0, "points"), -(10**300)),
        (("time",), "0001-01-01T00:00:00+14:00"),
        (("time",), "9999-12-31T23:59:59-14:00"),
    ],
    ids=["huge", "inf", "nan", "huge-size", "wide-size", "wide", "year-0", "year-10000"],
)
def test_an_impossible_number_names_its_place(
    path: tuple[Any, ...], value: Any, output: str, tmp_path: Path
) -> None:
    record: Any = to_object(incident())
    target = record
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    recording = tmp_path / "kills"
    recording.write_text(json.dumps(record) + "\n")
    stream = io.StringIO()
    with pytest.raises(RecordError, match=rf"kills, line 1: .*{path[-1]}: expected"):
        replay(str(recording), open_sink(output, stream))
    assert stream.getvalue() == ""


def test_text_that_is_no_unicode_is_replayed_escaped(tmp_path: Path) -> None:
    record = to_object(incident())
    record["victims"][0]["command"] = "\ud800\u202e\x1b[2J"
    recording = tmp_path / "kills"
    recording.write_text(json.dumps(record) + "\n")
    stream = io.StringIO()
    replay(str(recording), open_sink("text", stream))
    assert "killed  \\u{d800}\\u{202e}\\x1b[2J [4711]" in stream.getvalue()
    stream.getvalue().encode()


def test_an_empty_recording_has_no_incidents(tmp_path: Path) -> None:
    recording = tmp_path / "kills"
    recording.write_bytes(b"")
    stream = io.StringIO()
    replay(str(recording), open_sink("text", stream))
    assert stream.getvalue() == ""


def test_standard_input_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.BytesIO(json.dumps(to_object(incident())).encode() + b"\n{")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(lines))
    stream = io.StringIO()
    with pytest.raises(RecordError, match=r"^standard input, line 2: not JSON"):
        replay("-", open_sink("logfmt", stream))
    assert stream.getvalue().count("\n") == 1


def test_what_was_recorded_is_explained_anew_unless_asked_otherwise(tmp_path: Path) -> None:
    """A newer version concludes more from the same facts."""
    record = to_object(incident(scope="pod", verdict="an older version's words"))
    recording = tmp_path / "kills"
    recording.write_text(json.dumps(record) + "\n")
    shown = {}
    for as_recorded in (False, True):
        stream = io.StringIO()
        replay(str(recording), open_sink("json", stream), as_recorded=as_recorded)
        shown[as_recorded] = json.loads(stream.getvalue())
    assert shown[True] == record
    assert shown[False]["scope"] == "container"
    assert shown[False]["verdict"].startswith("its own limit (128.0 MiB): 96 % (124.0 MiB)")
    same = {key: value for key, value in record.items() if key not in ("scope", "verdict")}
    assert same.items() <= shown[False].items()

    (latest,), broken = read_latest(str(recording), as_recorded=True)
    assert broken is None
    assert latest.verdict == "an older version's words"
    (latest,), _ = read_latest(str(recording))
    assert str(latest.verdict).startswith("its own limit")


def test_kills_of_one_write_are_linked_in_a_recording_as_well(tmp_path: Path) -> None:
    domain = replace(incident().domain or Domain(), limit_bytes=64 << 20)
    writer = Trigger(9, 9, "runc", "/", None)
    recording = tmp_path / "kills"
    kills = [incident(n, domain=domain, trigger=writer) for n in (1, 2)]
    recording.write_text("".join(json.dumps(to_object(each)) + "\n" for each in kills))
    stream = io.StringIO()
    replay(str(recording), open_sink("json", stream))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert "same write" not in first["verdict"]
    assert second["verdict"].endswith("it is the 2nd kill of the same write")
