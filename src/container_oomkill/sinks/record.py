# SPDX-License-Identifier: Apache-2.0
"""Converts an incident into the record of docs/record.md, as plain objects, and back.

The keys are the attribute names of incident/model.py, so a new field there is a new key here. Times
are RFC 3339 in the record and seconds since the epoch in the incident, exact to the microsecond.
"""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import RecordError

if TYPE_CHECKING:
    from ..incident.model import Incident

T = TypeVar("T")
SCHEMA = 1  # of docs/record.md
OOM = "oom"  # the record's kind; those of before there were others have none
TIMES = {"time", "started_at"}
# What the kernel can say at all: signed and unsigned 64 bits. Beyond, arithmetic fails.
LEAST, MOST = -(1 << 63), (1 << 64) - 1
YEARS = range(2, 9999)  # that every time zone can show
NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def to_object(incident: Incident) -> dict[str, Any]:
    """Return the record; json.dumps takes it as it is."""
    return {"schema": SCHEMA, "id": incident.id, "kind": OOM, **plain(incident)}


def plain(value: Any) -> Any:
    """Return a part of a record as plain objects."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if not is_dataclass(value):
        return value
    made = {}
    for name in _names(value.__class__):
        item = getattr(value, name)
        made[name] = rfc3339(item) if name in TIMES and item is not None else plain(item)
    return made


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def object_of(kind: str, value: Any) -> dict[str, Any]:
    """Return the record of what is no incident: a `Kill`, a `Stuck`."""
    return {"schema": SCHEMA, "id": value.id, "kind": kind, **plain(value)}


def is_of(kind: str, record: Any) -> bool:
    """Tell whether a record says that it is of that kind."""
    return isinstance(record, dict) and record.get("kind") == kind


def rfc3339(seconds: float) -> str:
    """Return seconds since the epoch as UTC text with microseconds."""
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


def from_object(record: Any) -> Incident:
    """Return the incident of a record; `RecordError` names the first thing wrong in it.

    Keys this version does not know are left alone: a later one may have added them.
    """
    from ..incident.model import Incident  # which nobody needs to write one

    incident = made_of(OOM, Incident, record)
    if not incident.victims:
        raise RecordError("victims: expected at least one")
    return incident


def made_of(kind: str, type_: type[T], record: Any) -> T:
    """Return what `object_of` was made of; `RecordError` names the first thing wrong in it."""
    if not isinstance(record, dict):
        raise RecordError("expected an object")
    _check_kind(record, kind)
    found: T = made(type_, record, "")
    return found


def _check_kind(record: dict[str, Any], wanted: str) -> None:
    """Raise `RecordError` for a record of another version or kind."""
    if record.get("schema") != SCHEMA:
        raise RecordError(f"schema: expected {SCHEMA}, found {_shown(record.get('schema'))}")
    if (kind := record.get("kind", OOM)) != wanted:
        raise RecordError(f"kind: expected {wanted}, found {_shown(kind)}")


def made(kind: Any, found: Any, path: str) -> Any:
    """Return the part of that ``kind``; ``path``: where in the record it is."""
    if not isinstance(found, dict):
        raise RecordError(f"{path}: expected an object, found {_shown(found)}")
    hints = _hints(kind)
    return kind(
        **{
            name: _value(hints[name], found.get(name), f"{path}.{name}".lstrip("."), name)
            for name in _names(kind)
        }
    )


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(kind: Any, found: Any, path: str, name: str) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        if found is None:
            return None
        kind = next(option for option in get_args(kind) if option is not type(None))
    if is_dataclass(kind):
        return made(kind, found if found is not None else {}, path)
    if get_origin(kind) is tuple:
        if not isinstance(found, list):
            raise RecordError(f"{path}: expected a list, found {_shown(found)}")
        item = get_args(kind)[0]
        return tuple(_item(item, entry, f"{path}[{n}]", name) for n, entry in enumerate(found))
    if name in TIMES:
        return _time(found, path)
    whole = isinstance(found, int) and not isinstance(found, bool)
    if kind in (int, float):
        # A NaN is not between anything.
        if (whole or (kind is float and isinstance(found, float))) and LEAST <= found <= MOST:
            return kind(found)
    elif isinstance(found, kind):
        return found
    raise RecordError(f"{path}: expected {NAMES[kind]}, found {_shown(found)}")


def _item(kind: Any, found: Any, path: str, name: str) -> Any:
    return made(kind, found, path) if is_dataclass(kind) else _value(kind, found, path, name)


def _time(found: Any, path: str) -> float:
    if isinstance(found, str):
        try:
            moment = datetime.fromisoformat(found)
            if moment.tzinfo is not None and moment.astimezone(UTC).year in YEARS:
                return moment.timestamp()
        except (ValueError, OverflowError):
            pass
    raise RecordError(f"{path}: expected a time as in RFC 3339, found {_shown(found)}")


def _shown(found: Any) -> str:
    text = "nothing" if found is None else repr(found)
    return text if len(text) <= 40 else text[:37] + "..."
