# SPDX-License-Identifier: Apache-2.0
"""Writes an incident as one line of key=value: what is known of it and of the chosen victim.

Keys are the record's, their groups joined by an underscore (``domain_limit_bytes``,
``victim_rss_anon_bytes``), as log stores want label names. ``victims`` is the number of victims and
``victim_pids`` has all of their pids; likewise ``candidates``, whose largest is ``candidate``. A
value with a blank, a quote, an equals sign or an unprintable character is quoted as JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from ..incident.model import Incident
from .record import to_object

BARE = re.compile(r"[!#-<>-\[\]-~]+")


def render(incident: Incident) -> str:
    """Return the line, without its end."""
    record = to_object(incident)
    for one, many in (("victim", "victims"), ("candidate", "candidates")):
        tasks = record.pop(many)
        if tasks is not None:
            record[many] = len(tasks)
            pids = (task["pid"] for task in tasks)
            record[f"{one}_pids"] = ",".join(str(pid) for pid in pids if pid is not None)
            record[one] = tasks[0] if tasks else None
    return line(record)


def line(record: dict[str, Any]) -> str:
    """Return a record without lists as one line."""
    return " ".join(f"{key}={_value(value)}" for key, value in _flat(record, ""))


def _flat(group: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in group.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}_")
        elif value not in (None, ""):
            yield prefix + key, value


def _value(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return text if BARE.fullmatch(text) else json.dumps(text)


class Logfmt:
    """A sink."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, incident: Incident) -> None:
        self._stream.write(render(incident) + "\n")
        self._stream.flush()
