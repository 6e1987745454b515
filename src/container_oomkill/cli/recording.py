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
from ..sinks.record import from_object

MAX_LINE_BYTES = 1 << 20


def read_recording(path: str) -> Iterator[Incident]:
    """Yield the incidents of a file, or of standard input for ``-``.

    Raises `RecordError` with file and line for the first line that is no record, `UsageError` for
    a file that cannot be read.
    """
    name = "standard input" if path == "-" else path
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            yield from _incidents(file, name)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise UsageError(f"read the recording {name}: {words}") from error


def _incidents(file: BinaryIO, name: str) -> Iterator[Incident]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise RecordError(f"{where}: line longer than {MAX_LINE_BYTES} bytes")
        if not line.strip():
            continue
        try:
            yield from_object(json.loads(line))
        except RecordError as error:
            raise RecordError(f"{where}: {error}") from error
        except (ValueError, RecursionError) as error:
            cut = "" if line.endswith(b"\n") else ", and the line is incomplete"
            raise RecordError(f"{where}: not JSON ({error}){cut}") from error


def replay(path: str, sink: Callable[[Incident], None], *, as_recorded: bool = False) -> None:
    """Give every incident of a recording to a sink; those before a broken line are out by then.

    With the scope and verdict that this version concludes from what was recorded, or those that
    were recorded.
    """
    explain = explainer(as_recorded=as_recorded)
    for incident in read_recording(path):
        sink(explain(incident))


def explainer(*, as_recorded: bool) -> Callable[[Incident], Incident]:
    """Take a recording's incidents one after another; see `replay`."""
    return (lambda incident: incident) if as_recorded else Recent().explain
