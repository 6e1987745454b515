# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill why`: what is known of how a container last ended, by SIGKILL of whomever.

And whether it is, or was, out of memory while nothing was killed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from ..errors import UsageError
from ..incident.model import Incident
from ..killers.model import Kill
from ..sinks.ends import apart, ends_of, is_end, of_container, whose
from ..sinks.kill_text import lines as kill_lines
from ..sinks.printable import printable
from ..sinks.query import Query
from ..sinks.stuck_formats import lines as stuck_lines
from ..sinks.text import COLUMNS, NARROWEST, Text, terminal_columns, wants_colour
from ..system.settings import Settings
from ..units import about, plural
from .asked_exporter import AskedExporter
from .filters import query_from

if TYPE_CHECKING:
    from argparse import Namespace

    from ..sinks.ends import Ending, Record
    from ..stuck.model import Stuck

LATEST = 1000  # the API gives no more
CONTAINERS = 5  # told of, where several have that name


class WhySettings(Settings):
    """As the options have them; without a recording, a running exporter is asked."""

    container: str
    recording: str | None = None
    colour: str = "auto"
    query: Query = Query(limit=LATEST)
    exporter: AskedExporter = AskedExporter()

    @classmethod
    def from_args(cls, args: Namespace) -> WhySettings:
        """Raises `UsageError` for a filter that is none."""
        return cls(
            container=args.container,
            recording=args.recording,
            colour=args.color,
            query=query_from(args, limit=LATEST),
            exporter=AskedExporter.from_args(args),
        )


def command(args: Namespace) -> int:
    """Tell it; also of a recording that is cut, which is an error all the same."""
    settings = WhySettings.from_args(args)
    if not settings.container.strip("/ "):
        raise UsageError("why: expected the name of a container, or the start of its id")
    broken = None
    records: list[Record]
    if settings.recording is None:
        incidents, others = settings.exporter.records(settings.query)
        records = [*incidents, *others]
    else:
        from .recording import read_with_others

        records, broken = read_with_others(settings.recording, settings.query)
    tell(records, settings.container, sys.stdout, colour=settings.colour, now=time.time())
    if broken is not None:
        raise broken
    return 0


def tell(
    records: Sequence[Record], wanted: str, stream: TextIO, *, colour: str, now: float
) -> None:
    """Write how each container of that name last ended, the one that ended last first."""
    found = of_container(records, wanted)
    for number, its in enumerate(found[:CONTAINERS]):
        stream.write("\n" * (number > 0))
        _tell(its, stream, colour=wants_colour(stream, colour), now=now)
    if len(found) > CONTAINERS:
        more = len(found) - CONTAINERS
        stream.write(f"\nand {more} more containers of that name: add --namespace or --pod\n")
    if not found:
        stream.write(f"no SIGKILL of a container {printable(wanted)} has been recorded\n")
    stream.flush()


def _tell(its: Sequence[Record], stream: TextIO, *, colour: bool, now: float) -> None:
    """``its``: of one container, newest first."""
    kills, stuck = apart(its)
    if kills:
        _tell_end(kills, stream, colour=colour, now=now)
    else:
        stream.write(f"{printable(whose(its[0]))} is not known to have ended by SIGKILL\n")
    if stuck:
        _tell_stuck(stuck, stream, colour=colour, now=now)


def _tell_end(its: Sequence[Ending], stream: TextIO, *, colour: bool, now: float) -> None:
    ends, others = ends_of(its)
    last = ends[0] if ends else its[0]
    ago = about(max(0.0, now - last.time))
    name = printable(whose(last))
    if ends:
        stream.write(f"{name} ended {ago} ago by SIGKILL (exit code 137):\n")
    else:
        stream.write(
            f"{name} is not known to have ended by SIGKILL; a process in it was killed {ago} ago:\n"
        )
    if isinstance(last, Kill):
        _write(kill_lines(last, _columns(stream), colour=colour), stream)
    else:
        Text(stream, colour=colour)(last)
    later = [each for each in others if each.time > last.time]
    if later:
        stream.write(f"since then: {_count(later)}\n")
    if earlier := [each for each in its if each.time < last.time]:
        stream.write(f"before that: {_count(earlier)}; {_ends(earlier)}\n")


def _tell_stuck(its: Sequence[Stuck], stream: TextIO, *, colour: bool, now: float) -> None:
    """Nothing was killed then, so it is no end; but it explains what did not answer."""
    last = its[0]
    ended = now - last.time - (last.stuck.seconds or 0.0)
    when = "now" if last.stuck.ended is False else f"{about(max(0.0, ended))} ago"
    stream.write(f"out of memory without a kill {when}:\n")
    _write(stuck_lines(last, _columns(stream), colour=colour), stream)
    if its[1:]:
        stream.write(f"before that: {plural(len(its) - 1, 'time')}\n")


def _columns(stream: TextIO) -> int:
    return max(NARROWEST, min(terminal_columns(stream) or COLUMNS, COLUMNS))


def _write(lines: Iterable[str], stream: TextIO) -> None:
    stream.write("".join(f"{line}\n" for line in lines))


def _count(records: Sequence[Ending]) -> str:
    ooms = sum(isinstance(each, Incident) for each in records)
    kinds = ((ooms, "by the OOM killer"), (len(records) - ooms, "by others"))
    return " and ".join(f"{plural(number, 'kill')} {words}" for number, words in kinds if number)


def _ends(records: Sequence[Ending]) -> str:
    ends = sum(map(is_end, records))
    if len(records) == 1:
        return "it ended the container" if ends else "the container lived on"
    return f"{ends or 'none'} of them ended the container"
