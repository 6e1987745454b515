# SPDX-License-Identifier: Apache-2.0
"""What `show` writes of records that are no incidents: kills by others, and what was stuck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from ..killers.model import Kill
from ..sinks.printable import printable, shorten
from ..sinks.text import terminal_columns
from ..units import plural

if TYPE_CHECKING:
    from ..sinks.query import Query
    from ..stuck.model import Stuck

    Other = Kill | Stuck

LISTED = 5  # of each kind


def read_beside(recording: str, query: Query) -> Iterator[Other]:
    """Yield what matches of the files beside a history; errors as `read_records`."""
    from ..incident.model import Incident
    from .recording import beside, matches, read_records

    for path in beside(recording):
        for record in read_records(path):
            if not isinstance(record, Incident) and matches(query, record):
                yield record


def find_other(others: Iterable[Other], wanted: str) -> Other | None:
    """Return the one of that id; its first digits alone may be an incident's."""
    return next((each for each in others if each.id == wanted), None)


def show_other(record: Other, stream: TextIO, output: str, *, colour: str) -> None:
    """Write it as `probe` does."""
    if isinstance(record, Kill):
        from ..sinks.kill_formats import open_kill_sink

        open_kill_sink(output, stream, colour=colour)(record)
    else:
        from ..sinks.stuck_formats import open_stuck_sink

        open_stuck_sink(output, stream, colour=colour)(record)


def list_others(others: Sequence[Other], stream: TextIO) -> None:
    """Write the latest few of each kind, a line each, behind the list of incidents."""
    kills = [each for each in others if isinstance(each, Kill)]
    stuck = [each for each in others if not isinstance(each, Kill)]
    columns = terminal_columns(stream)
    for line in (*_kills(kills), *_stuck(stuck), *_advice(others)):
        stream.write((line if columns is None else shorten(line, columns)) + "\n")
    stream.flush()


def _kills(kills: Sequence[Kill]) -> Iterator[str]:
    if not kills:
        return
    from ..sinks.kill_names import kill_name
    from ..sinks.kill_text import short_cause

    yield f"{plural(len(kills), 'kill')} by others, the latest:"
    for kill in kills[:LISTED]:
        yield _line(kill, kill_name(kill), short_cause(kill))


def _stuck(stuck: Sequence[Stuck]) -> Iterator[str]:
    if not stuck:
        return
    from ..sinks.stuck_formats import reason
    from ..sinks.stuck_names import stuck_name

    yield f"{plural(len(stuck), 'time')} out of memory without a kill, the latest:"
    for each in stuck[:LISTED]:
        yield _line(each, stuck_name(each), reason(each))


def _line(record: Other, name: str, words: str) -> str:
    when = datetime.fromtimestamp(record.time).strftime("%Y-%m-%d %H:%M:%S")
    return f"  {record.id}  {when}  {printable(name)}  {words}"


def _advice(others: Sequence[Other]) -> Iterator[str]:
    if others:
        yield "to tell how one ended: container-oomkill why CONTAINER"
