# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill symbolize`: names the functions on the triggers' own stacks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..sinks.names import BY, full_name
from ..sinks.printable import printable
from ..symbols.files import DebugFiles
from ..symbols.functions import Place
from ..system import log
from ..system.settings import Settings
from .recording import read_recording

if TYPE_CHECKING:
    from argparse import Namespace

    from ..incident.model import Incident
    from ..incident.stack import Frame

SHORT_ID = 12
MEANING = (
    "This is where memory ran out, not where it went: whoever asks last need not be who holds most."
)


class SymbolizeSettings(Settings):
    """As the options have them."""

    file: str
    debug: tuple[str, ...] = ()

    @classmethod
    def from_args(cls, args: Namespace) -> SymbolizeSettings:
        return cls(file=args.file, debug=tuple(args.debug))


def command(args: Namespace) -> int:
    """Print each incident with a stack; errors as `read_recording` and `DebugFiles` raise them."""
    settings = SymbolizeSettings.from_args(args)
    files = DebugFiles(settings.debug)
    found = False
    for incident in read_recording(settings.file):
        for line in lines(incident, files):
            found = True
            sys.stdout.write(f"{line}\n")
    if found:
        sys.stdout.write(f"{MEANING}\n")
    else:
        log.warn(f"{settings.file}: no incident has a stack: record with `--stacks`")
    return 0


def lines(incident: Incident, files: DebugFiles) -> Iterator[str]:
    """Yield an incident's stack, innermost first; nothing where it has none."""
    trigger = incident.trigger
    if trigger.stack is None or trigger.stack.user is None:
        return
    by = f"  {BY.get(trigger.by, trigger.by)}" if trigger.by else ""
    task = f"{trigger.command or '?'} [{'?' if trigger.pid is None else trigger.pid}]"
    yield printable(f"{incident.id}  {full_name(incident)}  {task}{by}")
    for number, frame in enumerate(trigger.stack.user):
        yield printable(f"    #{number:<3} {_words(frame, files, innermost=number == 0)}")


def _words(frame: Frame, files: DebugFiles, *, innermost: bool) -> str:
    if frame.build_id is None or frame.offset is None:
        return "?  (in no file whose build id the kernel had at hand)"
    where = f"{frame.build_id[:SHORT_ID]} + {frame.offset:#x}"
    # A call's return address may lie behind the function that calls.
    offset = frame.offset if innermost else frame.offset - 1
    place = Place()
    for file in files.of(frame.build_id):
        found = file.place(offset)
        place = Place(
            place.function or found.function, place.file or found.file, place.line or found.line
        )
    line = "" if place.file is None else f"  {place.file}:{place.line}"
    return f"{place.function or '?'}{line}  ({where})"
