# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill show`: lists incidents of an exporter or a recording, or shows one in full."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from ..errors import RecordError, UsageError
from ..incident.model import Incident
from ..sinks.bar import BLOCKS
from ..sinks.names import Key
from ..sinks.printable import can_show, printable, shorten
from ..sinks.query import Query
from ..sinks.repeats import habit_of, key_of, times_in_a_day
from ..sinks.sparkline import shows_levels
from ..sinks.terminal import DIM, OFF, TerminalView
from ..sinks.terminal_list import EACH, TerminalList, fold
from ..sinks.text import terminal_columns, wants_colour
from ..system.settings import Settings
from .asked_exporter import AskedExporter
from .filters import query_from
from .others import find_other, list_others, read_beside, show_other

if TYPE_CHECKING:
    from argparse import Namespace

    from ..diagnosis.habit import Habit
    from ..killers.model import Kill
    from ..stuck.model import Stuck

SHOW = "container-oomkill show"
LATEST = 1000  # the API gives no more, and a recording may have any number
COLUMNS = 100  # where nobody says how many
NAMED = 3  # ids or containers in a message


class ShowSettings(Settings):
    """As the options have them; without a recording, a running exporter is asked."""

    wanted: str | None = None  # an incident's id, or its start; None: all
    recording: str | None = None
    as_recorded: bool = False
    output: str = "text"
    colour: str = "auto"
    query: Query = Query(limit=LATEST)
    limit: int | None = None  # None: the newest few of each container
    exporter: AskedExporter = AskedExporter()

    @classmethod
    def from_args(cls, args: Namespace) -> ShowSettings:
        """Raises `UsageError` for a filter that is none."""
        # One may have any number; an id, and whether it is the first time, need all of them.
        limit = LATEST if args.limit is None or args.id is not None else args.limit
        return cls(
            wanted=args.id,
            recording=args.recording,
            as_recorded=args.as_recorded,
            output=args.output,
            colour=args.color,
            query=query_from(args, limit=limit),
            limit=args.limit,
            exporter=AskedExporter.from_args(args),
        )


def command(args: Namespace) -> int:
    """Show what there is, also of a recording that is cut; that is an error all the same."""
    settings = ShowSettings.from_args(args)
    broken = None
    others: list[Kill | Stuck] = []
    if settings.recording is None:
        incidents, others = settings.exporter.records(settings.query)
    else:
        incidents, broken = read_latest(
            settings.recording, settings.query, as_recorded=settings.as_recorded, others=others
        )
    if settings.wanted is not None and (found := find_other(others, settings.wanted)) is not None:
        show_other(found, sys.stdout, settings.output, colour=settings.colour)
        return 0
    if settings.output != "text":
        write_records(incidents, sys.stdout, settings.output, wanted=settings.wanted)
    elif broken is None or incidents or others:
        show_incidents(
            incidents,
            sys.stdout,
            wanted=settings.wanted,
            colour=settings.colour,
            each=EACH if settings.limit is None else None,
            filtered=bool(settings.query.parameters()),
        )
        if settings.wanted is None:
            list_others(others, sys.stdout)
    if broken is not None:
        raise broken
    return 0


def read_latest(
    path: str,
    query: Query | None = None,
    *,
    as_recorded: bool = False,
    others: list[Kill | Stuck] | None = None,
) -> tuple[list[Incident], RecordError | None]:
    """Return the latest matching incidents of a recording, and what ended it before its end.

    ``as_recorded``: with the scope and verdict that were recorded, not this version's.
    ``others``: gets the latest matching records that are no incidents, newest first; also of the
    files beside a history.
    A recording whose writer was killed or had no room is cut: what is before can be shown.
    Other errors as `read_recording`.
    """
    from .recording import explainer, matches, read_recording

    query = query or Query(limit=LATEST)
    latest: deque[Incident] = deque(maxlen=query.limit)
    besides: deque[Kill | Stuck] = deque(maxlen=query.limit)

    def keep(record: Kill | Stuck) -> None:
        if matches(query, record):
            besides.append(record)

    explained = map(explainer(as_recorded=as_recorded), read_recording(path, keep))
    broken = None
    try:
        latest.extend(filter(query.matches, explained))
    except RecordError as error:
        broken = error
    if others is not None:
        try:
            besides.extend(read_beside(path, query))
        except RecordError as error:
            broken = broken or error
        others += sorted(besides, key=lambda record: record.time, reverse=True)
    return list(latest), broken


def write_records(
    incidents: Iterable[Incident],
    stream: TextIO,
    output: str,
    *,
    wanted: str | None,
    command: str = SHOW,
) -> None:
    """Write the records, oldest first as in a recording, or the ``wanted`` one alone.

    Errors as `find`.
    """
    from ..sinks.formats import open_sink

    in_order = sorted(incidents, key=lambda incident: incident.time)
    if wanted is not None:
        in_order = [find(in_order, wanted, command)]
    sink = open_sink(output, stream)
    for incident in in_order:
        sink(incident)


def show_incidents(
    incidents: Iterable[Incident],
    stream: TextIO,
    *,
    wanted: str | None,
    colour: str,
    each: int | None = None,
    filtered: bool = False,
    command: str = SHOW,
    one: str | None = None,
    nodes: bool = False,
) -> None:
    """Write the list, newest first, or the picture of the ``wanted`` one.

    ``each``: how many of one container to list; None: all. ``filtered``: there may be others.
    ``command``: what lists them all; ``one``: what shows one, if that is another. ``nodes``: they
    may be of several.
    Raises `UsageError` where no incident, or more than one, has an id that starts so.
    """
    newest_first = sorted(incidents, key=lambda incident: incident.time, reverse=True)
    terminal = terminal_columns(stream)
    coloured = wants_colour(stream, colour)
    if wanted is not None:
        blocks = shows_levels(stream) and can_show(stream, "".join(BLOCKS.values()))
        picture = TerminalView(terminal or COLUMNS, blocks=blocks, colour=coloured)
        found = find(newest_first, wanted, command)
        times, habit = times_in_a_day(found, newest_first), habit_of(found, newest_first)
        lines = picture.one(found, times, _again(habit))
    elif newest_first:
        table = TerminalList(terminal, colour=coloured, nodes=nodes)
        lines = _list(newest_first, table, each, command, one or command)
    else:
        lines = iter(["no matching incidents" if filtered else "no incidents"])
    for line in lines:
        stream.write(line + "\n")
    stream.flush()


def _list(
    newest_first: Sequence[Incident],
    table: TerminalList,
    each: int | None,
    command: str,
    one: str,
) -> Iterator[str]:
    columns = table.columns
    shown, more = fold(newest_first, each or len(newest_first))
    habits = {} if columns is None else _habits(newest_first, shown)
    yield from replace(table, habits=habits).lines(shown)
    notes = [f"and {count} more of {printable(name)}" for name, count in more.most_common(NAMED)]
    if more:
        notes.append(f"to list all: {command} --limit {len(newest_first)}")
    if columns is not None:
        notes.append(f"to show one in full: {one} ID")
    for note in notes:
        note = note if columns is None else shorten(note, columns)
        yield f"{DIM}{note}{OFF}" if table.colour else note


def _habits(newest_first: Sequence[Incident], shown: Sequence[Incident]) -> dict[str, str]:
    """Give the words of each container, by the id of its latest incident."""
    its: dict[Key, list[Incident]] = {}
    for incident in newest_first:
        its.setdefault(key_of(incident), []).append(incident)
    latest = {incident.id for incident in shown}
    return {
        each[0].id: words
        for each in its.values()
        if each[0].id in latest and (words := _again(habit_of(each[0], each)))
    }


def _again(habit: Habit | None) -> str:
    """Give the words where there is more than one kill; of one alone the verdict says it."""
    return habit.words() if habit and (habit.times > 1 or habit.earlier) else ""


def find(incidents: Sequence[Incident], wanted: str, command: str = SHOW) -> Incident:
    """Return the one whose id is, or alone starts with, ``wanted``."""
    found = {
        name: incident
        for incident in incidents
        if wanted and (name := incident.id).startswith(wanted)
    }
    if wanted in found:
        return found[wanted]
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise UsageError(f"no incident {wanted}: `{command}` lists them all")
    some = ", ".join(list(found)[:NAMED]) + (", ..." if len(found) > NAMED else "")
    raise UsageError(f"{wanted} is ambiguous: {len(found)} incidents start with it: {some}")
