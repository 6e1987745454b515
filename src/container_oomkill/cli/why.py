# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill why`: what is known of how a container last ended, by SIGKILL of whomever."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from ..errors import UsageError
from ..incident.model import Incident
from ..killers.model import Kill
from ..sinks.ends import ends_of, is_end, of_container, whose
from ..sinks.kill_text import lines as kill_lines
from ..sinks.printable import printable
from ..sinks.query import Query
from ..sinks.text import COLUMNS, NARROWEST, Text, terminal_columns, wants_colour
from ..system.settings import Settings
from ..units import about
from .filters import query_from

if TYPE_CHECKING:
    from argparse import Namespace

LATEST = 1000  # the API gives no more
CONTAINERS = 5  # told of, where several have that name


class WhySettings(Settings):
    """As the options have them; without a recording, a running exporter is asked."""

    container: str
    recording: str | None = None
    colour: str = "auto"
    query: Query = Query(limit=LATEST)
    url: str | None = None  # None: the exporter that runs here
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def from_args(cls, args: Namespace) -> WhySettings:
        """Raises `UsageError` for a filter that is none."""
        return cls(
            container=args.container,
            recording=args.recording,
            colour=args.color,
            query=query_from(args, limit=LATEST),
            url=args.url,
            user=args.user,
            password_file=args.password_file,
            ca_file=args.ca_file,
            cert_file=args.cert_file,
            key_file=args.key_file,
        )


def command(args: Namespace) -> int:
    """Tell it; also of a recording that is cut, which is an error all the same."""
    settings = WhySettings.from_args(args)
    if not settings.container.strip("/ "):
        raise UsageError("why: expected the name of a container, or the start of its id")
    broken = None
    records: list[Incident | Kill]
    if settings.recording is None:
        records = _ask(settings)
    else:
        from .recording import read_with_kills

        records, broken = read_with_kills(settings.recording, settings.query)
    tell(records, settings.container, sys.stdout, colour=settings.colour, now=time.time())
    if broken is not None:
        raise broken
    return 0


def _ask(settings: WhySettings) -> list[Incident | Kill]:
    from .exporter_client import Exporter
    from .running_exporter import find_exporter

    exporter = Exporter(
        settings.url or find_exporter(),
        user=settings.user,
        password_file=settings.password_file,
        ca_file=settings.ca_file,
        cert_file=settings.cert_file,
        key_file=settings.key_file,
    )
    return [*exporter.incidents(settings.query), *exporter.kills(settings.query)]


def tell(
    records: Sequence[Incident | Kill], wanted: str, stream: TextIO, *, colour: str, now: float
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


def _tell(its: Sequence[Incident | Kill], stream: TextIO, *, colour: bool, now: float) -> None:
    """``its``: of one container, newest first."""
    ends, others = ends_of(its)
    last = ends[0] if ends else its[0]
    ago = about(max(0.0, now - last.time))
    name = printable(whose(last))
    if ends:
        stream.write(f"{name} ended {ago} ago by SIGKILL (exit code 137):\n")
    else:
        stream.write(
            f"{name} is not known to have ended by SIGKILL; a process in it was, {ago} ago:\n"
        )
    if isinstance(last, Kill):
        columns = max(NARROWEST, min(terminal_columns(stream) or COLUMNS, COLUMNS))
        stream.write("".join(f"{line}\n" for line in kill_lines(last, columns, colour=colour)))
    else:
        Text(stream, colour=colour)(last)
    later = [each for each in others if each.time > last.time]
    if later:
        stream.write(f"since then {_count(later)}\n")
    if earlier := [each for each in its if each.time < last.time]:
        stream.write(f"before that {_count(earlier)}, ends among them: {_ends(earlier)}\n")


def _count(records: Sequence[Incident | Kill]) -> str:
    ooms = sum(isinstance(each, Incident) for each in records)
    kinds = ((ooms, "by the OOM killer"), (len(records) - ooms, "by others"))
    return " and ".join(f"{number} {words}" for number, words in kinds if number)


def _ends(records: Sequence[Incident | Kill]) -> int:
    return sum(map(is_end, records))
