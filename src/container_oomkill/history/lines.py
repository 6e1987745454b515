# SPDX-License-Identifier: Apache-2.0
"""Reads a file of JSON lines in which any byte may be damaged; returns every intact record.

Half the bytes of a record are digits and text: damaged, it is a record still, that says something
else. So each ends with a checksum, as one more key. Lines of before there was one are read as well.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..errors import RecordError
from ..sinks.names import Key
from ..sinks.record import SCHEMA
from .fair import choose
from .form import INCIDENTS, Form

START = b'{"schema":'  # of every record; in a text within one its quotes would be escaped
CHECKSUM = re.compile(rb',"crc32":"([0-9a-f]{8})"}\Z')
WORDS = (START, b'"boot_ns":', b'"victims":[')  # one damaged byte leaves two of them


@dataclass(frozen=True, slots=True)
class Line:
    """Where in the file a record is, its line end not counted."""

    id: str
    start: int
    size: int
    container: Key  # whose it is


@dataclass(slots=True)
class Content:
    """What a file has, oldest first."""

    incidents: list[Any] = field(default_factory=list)  # the latest, as many as are kept
    lines: list[Line] = field(default_factory=list)
    later: int = 0  # lines of a later version, which are among `lines`
    broken: int = 0  # lines that are no records
    dropped: bool = False  # an empty first line: there were older ones
    end: int = 0  # of the last whole line
    torn: bool = False  # what follows it is no record: the end of one is missing


def sealed(record: bytes) -> bytes:
    """Return a record, one JSON object, with the checksum of what it was."""
    return b'%b,"crc32":"%08x"}' % (record.removesuffix(b"}"), zlib.crc32(record))


def read_line(text: bytes, form: Form = INCIDENTS) -> Any:
    """Return the record of a line. Raises `RecordError` for one that was damaged since."""
    if not _is_whole(text):
        raise RecordError("damaged")
    try:
        return form.read(json.loads(text.decode()))
    except (ValueError, RecursionError):
        raise RecordError("not JSON") from None


def _is_whole(text: bytes) -> bool:
    """Whether it is as it was sealed, if it was."""
    found = CHECKSUM.search(text, max(0, len(text) - 32))
    return found is None or zlib.crc32(text[: found.start()] + b"}") == int(found[1], 16)


def is_ours(head: bytes) -> bool:
    """Tell by its beginning whether a file is, or was, one of records; nothing at all is, too."""
    written = head.strip(b"\0\n")  # what a power cut leaves may be zeros
    return START.startswith(written[: len(START)]) or any(word in head for word in WORDS)


def read_lines(
    file: BinaryIO, *, max_incidents: int, max_line: int, form: Form = INCIDENTS
) -> Content:
    """Read all of it and give the latest ``max_incidents``; a line over ``max_line`` is broken."""
    content = Content()
    known: list[tuple[Line, Any]] = []
    size = file.seek(0, os.SEEK_END)
    at = file.seek(0)
    while raw := file.readline(max_line):
        line = raw.removesuffix(b"\n")
        if at == 0 and not line:
            content.dropped = True
        elif line and not _take(content, known, line, at, form):
            pieces = _pieces(line)
            found = sum(_take(content, known, piece, at + start, form) for start, piece in pieces)
            if not found and raw == line and at + len(raw) == size:
                content.torn = True
                break
            content.broken += 1
        at += len(raw)
        content.end = at
        if len(known) > 2 * max_incidents:  # the file is of a larger --history.max-incidents
            known = _latest(known, max_incidents)
    content.incidents = [incident for _, incident in _latest(known, max_incidents)]
    return content


def _latest(known: list[tuple[Line, Any]], max_incidents: int) -> list[tuple[Line, Any]]:
    return choose(known, lambda each: each[0].container, room=max_incidents)


def _take(
    content: Content, known: list[tuple[Line, Any]], text: bytes, start: int, form: Form
) -> bool:
    """Add the record that ``text`` is; False where it is none."""
    if not _is_whole(text):
        return False
    try:
        record = json.loads(text.decode())
        name, later = _name(record)
        incident = None if later else form.read(record)
    except (RecordError, ValueError, RecursionError):
        return False
    if incident is None:
        content.later += 1
        content.lines.append(Line(name, start, len(text), _later_key(record)))
    elif incident.id == name:
        line = Line(name, start, len(text), form.key(incident))
        content.lines.append(line)
        known.append((line, incident))
    else:  # the one is made from the other: a digit of either is damaged
        return False
    return True


def _later_key(record: dict[str, Any]) -> Key:
    """As far as a later version still has it there."""
    container = record.get("container")
    if not isinstance(container, dict):
        return ("",)
    namespace = container.get("namespace")
    names = (str(namespace), str(container.get("pod")), str(container.get("name")))
    return (f"namespace {namespace}" if namespace else "", *names)


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
