# SPDX-License-Identifier: Apache-2.0
"""Reads a file of JSON lines in which any byte may be damaged; returns every intact record."""

from __future__ import annotations

import json
import os
import re
from collections import deque
from dataclasses import dataclass, field
from typing import BinaryIO

from ..errors import RecordError
from ..incident.model import SCHEMA, Incident
from ..sinks.record import from_object

START = b'{"schema":'  # of every record; in a text within one its quotes would be escaped
WORDS = (START, b'"boot_ns":', b'"victims":[')  # one damaged byte leaves two of them


@dataclass(frozen=True, slots=True)
class Line:
    """Where in the file a record is, its line end not counted."""

    id: str
    start: int
    size: int


@dataclass(slots=True)
class Content:
    """What a file has, oldest first."""

    incidents: deque[Incident]
    lines: list[Line] = field(default_factory=list)
    later: int = 0  # lines of a later version, which are among `lines`
    broken: int = 0  # lines that are no records
    dropped: bool = False  # an empty first line: there were older ones
    end: int = 0  # of the last whole line
    torn: bool = False  # what follows it is no record: the end of one is missing


def is_ours(head: bytes) -> bool:
    """Tell by its beginning whether a file is, or was, one of records; nothing at all is, too."""
    written = head.strip(b"\0\n")  # what a power cut leaves may be zeros
    return START.startswith(written[: len(START)]) or any(word in head for word in WORDS)


def read_lines(file: BinaryIO, *, max_incidents: int, max_line: int) -> Content:
    """Read all of it and give the latest ``max_incidents``; a line over ``max_line`` is broken."""
    content = Content(deque(maxlen=max_incidents))
    size = file.seek(0, os.SEEK_END)
    at = file.seek(0)
    while raw := file.readline(max_line):
        line = raw.removesuffix(b"\n")
        if at == 0 and not line:
            content.dropped = True
        elif line and not _take(content, line, at):
            found = sum(_take(content, piece, at + start) for start, piece in _pieces(line))
            if not found and raw == line and at + len(raw) == size:
                content.torn = True
                break
            content.broken += 1
        at += len(raw)
        content.end = at
    return content


def _take(content: Content, text: bytes, start: int) -> bool:
    """Add the record that ``text`` is; False where it is none."""
    try:
        record = json.loads(text.decode())
        name, later = _name(record)
        incident = None if later else from_object(record)
    except (RecordError, ValueError, RecursionError):
        return False
    if incident is None:
        content.later += 1
    elif incident.id == name:
        content.incidents.append(incident)
    else:  # the one is made from the other: a digit of either is damaged
        return False
    content.lines.append(Line(name, start, len(text)))
    return True


def _name(record: object) -> tuple[str, bool]:
    """Return the id, and whether a later version wrote it."""
    if not isinstance(record, dict):
        raise RecordError("expected an object")
    schema = record.get("schema")
    return str(record.get("id")), isinstance(schema, int) and schema > SCHEMA


def _pieces(line: bytes) -> list[tuple[int, bytes]]:
    """Return what starts as a record within a damaged line, and ends as JSON does."""
    pieces = []
    text = line.decode("latin-1")  # a character a byte
    for match in re.finditer(re.escape(START.decode()), text):
        try:
            _, end = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        pieces.append((match.start(), line[match.start() : end]))
    return pieces
