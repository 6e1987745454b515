# SPDX-License-Identifier: Apache-2.0
"""What people and programs read: text, JSON lines, logfmt; and records back to incidents."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.cli.recording import read_recording
from container_oomkill.errors import RecordError, UsageError
from container_oomkill.incident.model import Container, Domain, Incident, Oom, Trigger, Victim
from container_oomkill.sinks.formats import open_sink
from container_oomkill.sinks.printable import width
from container_oomkill.sinks.record import from_object, rfc3339, to_object

from ..support.incidents import container, incident, victim

UNKNOWN = incident(
    container=Container(),
    domain=None,
    oom=Oom(),
    trigger=Trigger(),
    victims=(Victim(),),
    scope=None,
    inferred=True,
)


def written(output: str, shown: Incident, **options: Any) -> str:
    stream = io.StringIO()
    open_sink(output, stream, **options)(shown)
    return stream.getvalue()


def test_the_record_has_the_promised_groups_in_order() -> None:
    record = to_object(incident())
    assert list(record) == [
        *("schema", "id", "kind", "time", "boot_ns", "sequence", "node", "kernel", "hook", "scope"),
        *("inferred", "message", "verdict", "container", "domain", "oom", "trigger", "victims"),
        "candidates",
        "before",
        "node_memory",
        "unlisted",
    ]
    assert record["schema"] == 1
    assert record["kind"] == "oom"
    assert record["id"] == "12a05f200-1"
    assert record["time"] == "2026-09-21T14:13:21.500000Z"
    assert record["victims"][0]["rss"]["anon_bytes"] == 124 << 20
    assert record["victims"][0]["started_at"].endswith("Z")


@pytest.mark.parametrize(
    "shown", [incident(), UNKNOWN, incident(victims=(victim(), victim(pid=9)))]
)
def test_there_and_back(shown: Incident) -> None:
    again = from_object(json.loads(written("json", shown)))
    assert again == shown
    assert again.id == shown.id


@given(
    st.text(),
    st.text(),
    st.one_of(st.none(), st.integers(-(1 << 63), (1 << 64) - 1)),
    st.floats(0, 4e9).map(lambda seconds: round(seconds, 6)),
)
def test_any_text_and_number_there_and_back(
    command: str, cgroup: str, number: int | None, seconds: float
) -> None:
    shown = incident(
        time=1.5, victims=(victim(command=command, cgroup=cgroup, points=number, started_at=None),)
    )
    line = written("json", shown)
    assert line.isascii()
    assert line.count("\n") == 1
    assert from_object(json.loads(line)) == shown
    assert abs(from_object(to_object(replace(shown, time=seconds))).time - seconds) < 1e-6


def test_keys_of_a_later_version_are_left_alone_and_missing_ones_are_unknown() -> None:
    record = to_object(incident())
    record["weather"] = "fine"
    record["oom"]["phase_of_the_moon"] = 3
    del record["victims"][0]["threads"]
    del record["container"]
    read = from_object(record)
    assert read.victims[0].threads is None
    assert read.container == Container()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("schema",), 2, "schema: expected 1, found 2"),
        (("sequence",), "7", "sequence: expected a whole number, found '7'"),
        (("sequence",), True, "sequence: expected a whole number, found True"),
        (("time",), "yesterday", "time: expected a time as in RFC 3339, found 'yesterday'"),
        (("time",), "2026-01-01T00:00:00", "time: expected a time"),
        (("node",), None, "node: expected text, found nothing"),
        (("victims",), [], "victims: expected at least one"),
        (("victims",), {}, "victims: expected a list"),
        (("victims", 0, "rss"), 5, r"victims[0].rss: expected an object, found 5"),
        (("victims", 0, "rss", "anon_bytes"), "x", r"victims[0].rss.anon_bytes: expected a whole"),
        (("oom", "group"), 1, "oom.group: expected true or false, found 1"),
    ],
)
def test_a_wrong_record_says_where(path: tuple[Any, ...], value: Any, words: str) -> None:
    record: Any = to_object(incident())
    target = record
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(RecordError) as error:
        from_object(record)
    assert words in str(error.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_no_json_crashes_the_reader(value: Any) -> None:
    record = to_object(incident()) | {"domain": value, "victims": value}
    with pytest.raises(RecordError):
        from_object(record)


def test_a_recording_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "kills"
    line = written("json", incident())
    path.write_text(line + "\n" + line)
    assert list(read_recording(str(path))) == [incident()] * 2
    path.write_text(line + line[:50])
    reader = read_recording(str(path))
    assert next(reader) == incident()
    with pytest.raises(
        RecordError, match=r"kills, line 2: not JSON .*, and the line is incomplete$"
    ):
        next(reader)
    path.write_text("x" * (2 << 20))
    with pytest.raises(RecordError, match="line 1: line longer than"):
        next(read_recording(str(path)))
    path.write_text("[" * 100_000)
    with pytest.raises(RecordError, match="line 1: not JSON"):
        next(read_recording(str(path)))
    with pytest.raises(UsageError, match="no such file"):
        next(read_recording(str(tmp_path / "none")))


def test_text_shows_what_happened() -> None:
    text = written("text", incident(verdict="because"))
    lines = text.splitlines()
    assert "OOM  shop/cart-7d9f4/app  limit 128.0 MiB reached (its own)" in lines[0]
    assert lines[1].split()[:3] == ["killed", "python3", "[4711]"]
    assert "anon 124.0  file 1.0  shmem 0.0  swap 0.0  page tables 0.4 MiB" in lines[1]
    assert "asked   gunicorn [4712]  order 0  gfp 0xcc0 GFP_KERNEL" in text
    assert "why     because" in text
    assert "\033" not in text


def test_what_is_unknown_is_left_out() -> None:
    text = written("text", UNKNOWN)
    assert "unknown container  cause unknown" in text
    assert "0.0" not in text
    assert "None" not in text


def test_ten_victims_are_shown_and_the_others_counted() -> None:
    many = tuple(victim(pid=n) for n in range(100, 125))
    text = written("text", incident(victims=many))
    assert "[109]" in text
    assert "[110]" not in text
    assert "and 15 more" in text


def test_colour_is_asked_for() -> None:
    assert "\033[1;31mOOM" in written("text", incident(), colour="always")


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_fools_a_terminal(command: str, cgroup: str, name: str, verdict: str) -> None:
    shown = incident(
        container=container(name),
        domain=Domain(cgroup=cgroup + "x", limit_bytes=1 << 30),
        trigger=Trigger(1, 1, command, cgroup, None),
        victims=(victim(command=command, cgroup=cgroup),),
        verdict=verdict,
    )
    for line in written("text", shown).split("\n"):
        assert line.isprintable()
        assert width(line) <= 100


def test_logfmt_is_one_line_of_pairs() -> None:
    line = written("logfmt", incident(victims=(victim(command='a "b"\n=c'), victim(pid=9))))
    assert line.count("\n") == 1
    assert 'victim_command="a \\"b\\"\\n=c"' in line
    assert " victims=2 victim_pids=4711,9 " in line
    assert " domain_limit_bytes=134217728 " in line
    assert " oom_group=false " in line
    assert "cmdline" not in line


def test_times_are_exact_to_the_microsecond() -> None:
    assert rfc3339(1_790_000_000.123456) == "2026-09-21T14:13:20.123456Z"
