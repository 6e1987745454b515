# SPDX-License-Identifier: Apache-2.0
"""Kills by others in every form: the same facts, nothing harmful, and back again."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest

from container_oomkill.cli.filters import query_from
from container_oomkill.cli.parser import parse
from container_oomkill.errors import RecordError
from container_oomkill.incident.model import Container
from container_oomkill.killers.cause import CAUSES, explain
from container_oomkill.killers.model import Kill, Killer, Stop, Target
from container_oomkill.sinks.kill_formats import open_kill_sink
from container_oomkill.sinks.kill_query import kill_matches
from container_oomkill.sinks.kill_record import is_kill, kill_from_object
from container_oomkill.sinks.kill_text import SHORT, short_cause
from container_oomkill.sinks.record import from_object

from ..support.incidents import HOSTILE
from ..support.kills import C, by, kill

TERM = Stop(signal="SIGTERM", seconds_before=10.0, pid=4699, command="runc")
TOLD = explain(kill(stop=TERM))
UNKNOWN = explain(
    replace(kill(), container=Container(), target=Target(), killer=Killer(), stop=Stop())
)


def written(output: str, shown: Kill) -> str:
    out = StringIO()
    open_kill_sink(output, out, colour="never")(shown)
    return out.getvalue()


def test_text() -> None:
    text = written("text", TOLD)
    head, *body = text.splitlines()
    assert head.endswith("  KILL  shop-cart-1  its time to stop ran out")
    assert [line.split()[0] for line in body if not line.startswith(" " * 18)] == [
        *("killed", "stop", "by", "in", "from", "why")
    ]
    assert "nginx [4711]  PID 1 of the container  up 1 h 0 min" in text
    assert "SIGTERM  10.0 s before  by runc [4699]" in text
    assert "runc [4720]  of containerd-shim  uid 0" in text


def test_json_there_and_back() -> None:
    for shown in (TOLD, UNKNOWN):
        record = json.loads(written("json", shown))
        assert (record["kind"], record["schema"], record["id"]) == ("kill", 1, shown.id)
        assert is_kill(record)
        assert kill_from_object(record) == shown
        with pytest.raises(RecordError, match="kind: expected oom, found 'kill'"):
            from_object(record)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([], "expected an object"),
        ({"schema": 2}, "schema: expected 1"),
        ({"schema": 1}, "kind: expected kill, found 'oom'"),
        ({"schema": 1, "kind": "kill"}, "time: expected"),
    ],
)
def test_what_is_none_is_refused(record: object, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        kill_from_object(record)


def test_logfmt_is_one_line_of_pairs() -> None:
    line = written("logfmt", TOLD)
    assert line.count("\n") == 1
    for pair in ("kind=kill", "killer_cause=runtime_stop", "target_command=nginx", "stop_pid=4699"):
        assert pair in line.split()


@pytest.mark.parametrize("output", ["text", "json", "logfmt"])
def test_names_that_anyone_may_choose_do_no_harm(output: str) -> None:
    hostile = kill(
        command=HOSTILE,
        parent_command=HOSTILE,
        cgroup=f"/docker/{HOSTILE}",
        container=Container(C, HOSTILE, "docker"),
        killer=by(HOSTILE, parent_command=HOSTILE, unit=HOSTILE),
        stop=replace(TERM, command=HOSTILE),
    )
    text = written(output, explain(hostile))
    assert all(char.isprintable() or char == "\n" for char in text)
    if output != "text":
        assert text.count("\n") == 1


def test_every_cause_has_a_short_form() -> None:
    assert {*SHORT, "unknown"} == set(CAUSES)
    assert short_cause(UNKNOWN) == "by nobody knows whom"


@pytest.mark.parametrize(
    ("options", "matches"),
    [
        ("", True),
        ("--container cart", True),
        ("--container abab", True),
        ("--container db", False),
        ("--namespace shop", False),
        ("--cgroup /docker", True),
        ("--cgroup docker", True),
        ("--cgroup /system.slice", False),
        ("--scope container", False),
        ("--shape leak", False),
        ("--since 2026-01-01T00:00:00Z", True),
        ("--until 2026-01-01T00:00:00Z", False),
    ],
)
def test_filters(options: str, matches: bool) -> None:
    query = query_from(parse(["show", *options.split()], {}))
    assert kill_matches(query, TOLD) is matches
