# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill show`: lists incidents of an exporter or a recording, or shows one in full."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from ..errors import RecordError, UsageError
from ..incident.model import Incident
from ..sinks.bar import BLOCKS
from ..sinks.terminal import TerminalView
from ..sinks.text import wants_colour
from ..system.settings import Settings

if TYPE_CHECKING:
    from argparse import Namespace

LATEST = 1000  # of a recording, which may have any number
COLUMNS = 100  # where nobody says how many
NAMED = 3  # ids in a message


class ShowSettings(Settings):
    """As the options have them; without a recording, a running exporter is asked."""

    wanted: str | None = None  # an incident's id, or its start; None: all
    recording: str | None = None
    as_recorded: bool = False
    colour: str = "auto"
    url: str
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def from_args(cls, args: Namespace) -> ShowSettings:
        return cls(
            wanted=args.id,
            recording=args.recording,
            as_recorded=args.as_recorded,
            colour=args.color,
            url=args.url,
            user=args.user,
            password_file=args.password_file,
            ca_file=args.ca_file,
            cert_file=args.cert_file,
            key_file=args.key_file,
        )


def command(args: Namespace) -> int:
    """Show what there is, also of a recording that is cut; that is an error all the same."""
    settings = ShowSettings.from_args(args)
    broken = None
    if settings.recording is None:
        incidents = read_exporter(settings)
    else:
        incidents, broken = read_latest(settings.recording, as_recorded=settings.as_recorded)
    if broken is None or incidents:
        show_incidents(incidents, sys.stdout, wanted=settings.wanted, colour=settings.colour)
    if broken is not None:
        raise broken
    return 0


def read_latest(
    path: str, *, as_recorded: bool = False
) -> tuple[list[Incident], RecordError | None]:
    """Return the latest incidents of a recording, and what ended it before its end.

    ``as_recorded``: with the scope and verdict that were recorded, not this version's.
    A recording whose writer was killed or had no room is cut: what is before can be shown.
    Other errors as `read_recording`.
    """
    from .recording import explainer, read_recording

    latest: deque[Incident] = deque(maxlen=LATEST)
    try:
        latest.extend(map(explainer(as_recorded=as_recorded), read_recording(path)))
    except RecordError as error:
        return list(latest), error
    return list(latest), None


def read_exporter(settings: ShowSettings) -> list[Incident]:
    """Return the incidents of a running exporter; errors as `Exporter.incidents`."""
    from .exporter_client import Exporter

    return Exporter(
        settings.url,
        user=settings.user,
        password_file=settings.password_file,
        ca_file=settings.ca_file,
        cert_file=settings.cert_file,
        key_file=settings.key_file,
    ).incidents()


def show_incidents(
    incidents: Iterable[Incident], stream: TextIO, *, wanted: str | None, colour: str
) -> None:
    """Write the list, newest first, or the picture of the ``wanted`` one.

    Raises `UsageError` where no incident, or more than one, has an id that starts so.
    """
    newest_first = sorted(incidents, key=lambda incident: incident.time, reverse=True)
    terminal = _terminal_columns(stream)
    picture = TerminalView(
        terminal or COLUMNS, blocks=_shows_blocks(stream), colour=wants_colour(stream, colour)
    )
    if wanted is not None:
        lines = picture.one(find(newest_first, wanted))
    elif newest_first:
        lines = picture.several(newest_first, terminal)
    else:
        lines = iter(["no incidents"])
    for line in lines:
        stream.write(line + "\n")
    stream.flush()


def find(incidents: Sequence[Incident], wanted: str) -> Incident:
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
        raise UsageError(f"no incident {wanted}: `container-oomkill show` lists them all")
    some = ", ".join(list(found)[:NAMED]) + (", ..." if len(found) > NAMED else "")
    raise UsageError(f"{wanted} is ambiguous: {len(found)} incidents start with it: {some}")


def _terminal_columns(stream: TextIO) -> int | None:
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:  # not one
        return None


def _shows_blocks(stream: TextIO) -> bool:
    try:
        "".join(BLOCKS.values()).encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
