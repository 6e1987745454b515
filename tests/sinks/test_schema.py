# SPDX-License-Identifier: Apache-2.0
"""docs/record.schema.json: generated, complete, and true of every record there is."""

from __future__ import annotations

import importlib
import json
import pkgutil
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given

import container_oomkill.incident
import container_oomkill.killers
import container_oomkill.stuck
from container_oomkill.cli.demo import RECORDING
from container_oomkill.errors import RecordError
from container_oomkill.incident.model import Container, Domain, Incident, Oom, Stat, Trigger, Victim
from container_oomkill.killers.model import Stop
from container_oomkill.sinks import json_lines
from container_oomkill.sinks.kill_record import kill_to_object, render_kill
from container_oomkill.sinks.record import from_object, to_object
from container_oomkill.sinks.schema import DRAFT, RECORDS, schema, text
from container_oomkill.sinks.stuck_record import render_stuck, stuck_to_object

from ..support import unprivileged
from ..support.any_incident import INCIDENTS
from ..support.incidents import HOSTILE, container, incident, victim
from ..support.kills import by, kill
from ..support.stuck import stuck

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "record.schema.json"
RECORDINGS = [
    RECORDING,
    ROOT / "deploy/docker/recording.jsonl",
    *sorted((ROOT / "tests/data/reports").iterdir()),
]
SCHEMA = json.loads(DOCUMENT.read_text(encoding="utf-8"))
CHECKER = jsonschema.FormatChecker(formats=())
CHECKER.checks("date-time", ValueError)(
    lambda found: not isinstance(found, str) or bool(datetime.fromisoformat(found))
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=CHECKER)


def wrong(record: Any) -> list[str]:
    """What the published schema says is wrong with it, down to what may also be null."""
    waiting, found = list(VALIDATOR.iter_errors(record)), []
    while waiting:
        error = waiting.pop()
        found.append(f"{error.json_path}: {error.message}")
        waiting += error.context or ()
    return found


def test_the_document_is_up_to_date() -> None:
    """To bring it: container-oomkill schema > docs/record.schema.json"""
    assert text() == DOCUMENT.read_text(encoding="utf-8")
    assert unprivileged.run("schema").stdout == text()


def test_it_is_a_schema() -> None:
    assert SCHEMA["$schema"] == DRAFT
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_kind_of_record_is_in_it() -> None:
    """Whatever has an id of its own is a record of its own."""
    found: set[type] = set()
    stages = (container_oomkill.incident, container_oomkill.killers, container_oomkill.stuck)
    for name in (
        f"{stage.__name__}.{each.name}"
        for stage in stages
        for each in pkgutil.iter_modules(stage.__path__)
    ):
        module = importlib.import_module(name)
        found |= {
            kind
            for kind in vars(module).values()
            if isinstance(kind, type)
            and is_dataclass(kind)
            and {"boot_ns", "node"} <= {field.name for field in fields(kind)}
        }
    assert found == set(RECORDS)


def test_it_has_every_key_that_is_written() -> None:
    """Without it a record would be valid whatever the key had."""

    def keys(of: Any, value: Any, path: str) -> None:
        of = next((each for each in of.get("anyOf", ()) if "$ref" in each), of)  # Incident first
        if "$ref" in of:
            of = SCHEMA["$defs"][of["$ref"].rpartition("/")[2]]
        if isinstance(value, dict):
            assert set(value) == set(of["properties"]), path
            for name, inner in value.items():
                keys(of["properties"][name], inner, f"{path}.{name}")
        elif isinstance(value, list):
            for inner in value:
                keys(of["items"], inner, f"{path}[]")

    keys(SCHEMA, to_object(incident(candidates=None)), "")
    for line in RECORDING.read_text().splitlines():
        keys(SCHEMA, to_object(from_object(json.loads(line))), "")


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_every_recorded_kill_is_valid(path: Path) -> None:
    """As recorded, by whichever version; the demo has 27."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines
    for line in lines:
        assert wrong(json.loads(line)) == []


@pytest.mark.parametrize(
    "made",
    [
        incident(),
        incident(victims=(victim(), victim(pid=9)), verdict=HOSTILE, scope=None),
        incident(
            container=Container(),
            domain=Domain(stat=Stat(), children=()),
            oom=Oom(),
            trigger=Trigger(container=container("app")),
            victims=(Victim(),),
            candidates=None,
        ),
    ],
    ids=["usual", "hostile", "unknown"],
)
def test_what_is_made_by_hand_is_valid(made: Incident) -> None:
    assert wrong(json.loads(json_lines.render(made))) == []


def test_a_kill_of_others_is_valid() -> None:
    asked = Stop(signal="SIGTERM", seconds_before=10.0, pid=1, command="runc")
    for made in (kill(), kill(stop=asked), kill(killer=by(None), container=Container())):
        assert wrong(json.loads(render_kill(made))) == []
    assert wrong(kill_to_object(kill()) | {"kind": "oom"})


def test_what_is_out_of_memory_without_a_kill_is_valid() -> None:
    for made in (stuck(), stuck(cause=None, container=Container(), cgroup=None)):
        assert wrong(json.loads(render_stuck(made))) == []
    assert wrong(stuck_to_object(stuck()) | {"kind": "kill"})
    assert any("does not match" in each for each in wrong(stuck_to_object(stuck()) | {"id": "1-s"}))


@given(INCIDENTS)
def test_whatever_is_written_is_valid(made: Incident) -> None:
    assert wrong(json.loads(json_lines.render(made))) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 2}, "schema: 1 was expected"),
        ({"id": "x"}, "id: 'x' does not match"),
        ({"time": "yesterday"}, "time: 'yesterday' is not a 'date-time'"),
        ({"boot_ns": "1"}, "boot_ns: '1' is not of type 'integer'"),
        ({"boot_ns": 1 << 64}, "is greater than the maximum"),
        ({"victims": None}, "victims: None is not of type 'array'"),
        ({"victims": [{"rss": {"anon_bytes": 1.5}}]}, "anon_bytes: 1.5 is not of type"),
        (
            {"domain": {"stat": {"approximate": 0}}},
            "approximate: 0 is not of type 'boolean'",
        ),
    ],
)
def test_what_is_no_record_is_not_valid(changes: Any, words: str) -> None:
    found = wrong(to_object(incident()) | changes)
    assert any(words in each for each in found), found


def test_the_schema_is_made_of_the_classes() -> None:
    made = schema()
    assert made["$defs"]["Stat"]["properties"]["anon_bytes"]["type"] == ["integer", "null"]
    assert made["$defs"]["Incident"]["required"][:3] == ["schema", "time", "boot_ns"]
    # Earlier versions wrote neither.
    assert not {"id", "before"} & {*made["$defs"]["Incident"]["required"]}
    with pytest.raises(RecordError, match="time"):
        from_object({"schema": 1})
