# SPDX-License-Identifier: Apache-2.0
"""Reads a recording, a file of `probe -o json` or ``--history``, back into incidents."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from ..diagnosis.recent import Recent
from ..errors import RecordError, UsageError
from ..incident.model import Incident
from ..killers.cause import explain as explain_kill
from ..killers.model import Kill
from ..sinks.kill_query import kill_matches
from ..sinks.kill_record import is_kill, kill_from_object
from ..sinks.query import Query
from ..sinks.record import from_object

MAX_LINE_BYTES = 1 << 20


def read_recording(path: str) -> Iterator[Incident]:
    """Yield the incidents of a file, or of standard input for ``-``; kills by others are skipped.

    Errors as `read_records`.
    """
    return (each for each in read_records(path) if isinstance(each, Incident))


def read_records(path: str) -> Iterator[Incident | Kill]:
    """Yield the records of either kind.

    Raises `RecordError` with file and line for the first line that is no record, `UsageError` for
    a file that cannot be read.
    """
    name = "standard input" if path == "-" else path
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            yield from _records(file, name)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise UsageError(f"read the recording {name}: {words}") from error


def _records(file: BinaryIO, name: str) -> Iterator[Incident | Kill]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise RecordError(f"{where}: line longer than {MAX_LINE_BYTES} bytes")
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            yield kill_from_object(record) if is_kill(record) else from_object(record)
        except RecordError as error:
            raise RecordError(f"{where}: {error}") from error
        except (ValueError, RecursionError) as error:
            cut = "" if line.endswith(b"\n") else ", and the line is incomplete"
            raise RecordError(f"{where}: not JSON ({error}){cut}") from error


def read_with_kills(path: str, query: Query) -> tuple[list[Incident | Kill], RecordError | None]:
    """Return what matches of a recording and, beside a history, of its file of kills by others.

    And what ended it before its end. Other errors as `read_records`.
    """
    found: list[Incident | Kill] = []
    broken = None
    beside = f"{path}.kills"
    for each in (path, beside) if path != "-" and Path(beside).is_file() else (path,):
        try:
            for record in read_records(each):
                if isinstance(record, Kill):
                    if kill_matches(query, record):
                        found.append(record)
                elif query.matches(record):
                    found.append(record)
        except RecordError as error:
            broken = broken or error
    return found, broken


def replay(
    path: str,
    sink: Callable[[Incident], None],
    *,
    kills: Callable[[Kill], None] = lambda _: None,
    as_recorded: bool = False,
) -> None:
    """Give every record of a recording to its sink; those before a broken line are out by then.

    With the scope and verdict that this version concludes from what was recorded, or those that
    were recorded.
    """
    explain = explainer(as_recorded=as_recorded)
    for record in read_records(path):
        if isinstance(record, Kill):
            kills(record if as_recorded else explain_kill(record))
        else:
            sink(explain(record))


def explainer(*, as_recorded: bool) -> Callable[[Incident], Incident]:
    """Take a recording's incidents one after another; see `replay`."""
    return (lambda incident: incident) if as_recorded else Recent().explain
