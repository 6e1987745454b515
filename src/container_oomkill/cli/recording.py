# SPDX-License-Identifier: Apache-2.0
"""Reads a recording, a file of `probe -o json` or ``--history``, back into its records."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from ..diagnosis.recent import Recent
from ..errors import RecordError, UsageError
from ..incident.model import Incident
from ..killers.cause import explain as explain_kill
from ..killers.model import Kill
from ..sinks.ends import Record
from ..sinks.kill_query import kill_matches
from ..sinks.kill_record import KILLS_SUFFIX, is_kill, kill_from_object
from ..sinks.query import Query
from ..sinks.record import from_object
from ..sinks.stuck_query import stuck_matches
from ..sinks.stuck_record import STUCK_SUFFIX, is_stuck, stuck_from_object
from ..stuck.cause import explain as explain_stuck
from ..stuck.model import Stuck

MAX_LINE_BYTES = 1 << 20


def read_recording(
    path: str, others: Callable[[Kill | Stuck], None] = lambda _: None
) -> Iterator[Incident]:
    """Yield the incidents of a file, or of standard input for ``-``; ``others`` gets the rest.

    Errors as `read_records`.
    """
    for each in read_records(path):
        if isinstance(each, Incident):
            yield each
        else:
            others(each)


def read_records(path: str) -> Iterator[Record]:
    """Yield the records of every kind.

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


def _records(file: BinaryIO, name: str) -> Iterator[Record]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise RecordError(f"{where}: line longer than {MAX_LINE_BYTES} bytes")
        if not line.strip():
            continue
        try:
            yield _record(json.loads(line))
        except RecordError as error:
            raise RecordError(f"{where}: {error}") from error
        except (ValueError, RecursionError) as error:
            cut = "" if line.endswith(b"\n") else ", and the line is incomplete"
            raise RecordError(f"{where}: not JSON ({error}){cut}") from error


def _record(found: Any) -> Record:
    if is_kill(found):
        return kill_from_object(found)
    return stuck_from_object(found) if is_stuck(found) else from_object(found)


def beside(path: str) -> list[str]:
    """Return the files of other records that are beside a history."""
    if path == "-":
        return []
    return [
        each for suffix in (KILLS_SUFFIX, STUCK_SUFFIX) if Path(each := path + suffix).is_file()
    ]


def matches(query: Query, record: Record) -> bool:
    """Tell whether a record of any kind is asked for."""
    if isinstance(record, Stuck):
        return stuck_matches(query, record)
    return kill_matches(query, record) if isinstance(record, Kill) else query.matches(record)


def read_with_others(path: str, query: Query) -> tuple[list[Record], RecordError | None]:
    """Return what matches of a recording and, beside a history, of its files of other records.

    And what ended it before its end. Other errors as `read_records`.
    """
    found: list[Record] = []
    broken = None
    for each in (path, *beside(path)):
        try:
            found.extend(record for record in read_records(each) if matches(query, record))
        except RecordError as error:
            broken = broken or error
    return found, broken


def replay(
    path: str,
    sink: Callable[[Incident], None],
    *,
    kills: Callable[[Kill], None] = lambda _: None,
    stuck: Callable[[Stuck], None] = lambda _: None,
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
        elif isinstance(record, Stuck):
            stuck(record if as_recorded else explain_stuck(record))
        else:
            sink(explain(record))


def explainer(*, as_recorded: bool) -> Callable[[Incident], Incident]:
    """Take a recording's incidents one after another; see `replay`."""
    return (lambda incident: incident) if as_recorded else Recent().explain
