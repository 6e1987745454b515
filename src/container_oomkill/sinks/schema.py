# SPDX-License-Identifier: Apache-2.0
"""Gives the JSON Schema of the record, from the dataclasses that the record is made of.

    container-oomkill schema > docs/record.schema.json

Whatever a class of incident/ gains is in it, so it cannot drift. Draft 2020-12.
"""

from __future__ import annotations

import inspect
import json
import types
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..incident.model import Incident
from ..killers.model import Kill
from ..stuck.model import Stuck
from .kill_record import KILL
from .record import LEAST, MOST, OOM, SCHEMA, TIMES
from .stuck_record import STUCK

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# What is a record of its own; tests/sinks/test_schema.py finds one that is missing here.
RECORDS: dict[type, str] = {Incident: OOM, Kill: KILL, Stuck: STUCK}  # their `kind`
IDS = {OOM: "[0-9]+", KILL: "k[0-9]+", STUCK: "[0-9a-f]+-stuck"}  # behind `boot_ns`
BASIC: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": LEAST, "maximum": MOST},
    float: {"type": "number"},
}


def schema() -> dict[str, Any]:
    """Return the schema of one record.

    Valid is what `from_object` takes. What may be null may be missing, and is unknown then: earlier
    versions did not write all of it. Keys that are not in here are of a later version.
    """
    definitions: dict[str, Any] = {}
    for record, kind in RECORDS.items():
        _define(record, definitions)
        made = definitions[record.__name__]
        added_by_the_sink = {
            "schema": {"const": SCHEMA},
            "id": {"type": "string", "pattern": f"^[0-9a-f]+-{IDS[kind]}$"},
            "kind": {"const": kind},
        }
        made["properties"] = {**added_by_the_sink, **made["properties"]}
        # Earlier versions knew one kind and did not say it.
        made["required"] = ["schema", *(["kind"] if kind != OOM else []), *made["required"]]
    names = [record.__name__ for record in RECORDS]
    return {
        "$schema": DRAFT,
        "$id": f"urn:container-oomkill:record:{SCHEMA}",
        "$comment": "SPDX-License-Identifier: Apache-2.0; written by `container-oomkill schema`",
        "title": "A record of container-oomkill",
        "description": "docs/record.md says what each key means. Unknown is null, never 0.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in names],
        "$defs": dict(sorted(definitions.items())),
    }


def text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(schema(), indent=1) + "\n"


def _define(kind: Any, definitions: dict[str, Any]) -> str:
    """Add a class and its parts; return its name."""
    name: str = kind.__name__
    if name in definitions:
        return name
    definitions[name] = {}  # before its parts, which may have it as a part
    hints = get_type_hints(kind)
    definitions[name] = {
        "description": " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split()),
        "type": "object",
        "properties": {
            each.name: _of(hints[each.name], each.name, definitions) for each in fields(kind)
        },
        "required": [each.name for each in fields(kind) if _needed(hints[each.name])],
    }
    return name


def _needed(kind: Any) -> bool:
    return get_origin(kind) not in (Union, types.UnionType) and not is_dataclass(kind)


def _of(kind: Any, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    if get_origin(kind) in (Union, types.UnionType):
        (inner,) = (each for each in get_args(kind) if each is not type(None))
        made = _of(inner, name, definitions)
        if "$ref" in made:
            return {"anyOf": [made, {"type": "null"}]}
        return {**made, "type": [made["type"], "null"]}
    if is_dataclass(kind):
        return {"$ref": f"#/$defs/{_define(kind, definitions)}"}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _of(get_args(kind)[0], name, definitions)}
    if name in TIMES:
        return {"type": "string", "format": "date-time"}
    return dict(BASIC[kind])
