# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill symbolize`: names the functions on the triggers' own stacks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..sinks.names import BY, full_name
from ..sinks.printable import printable
from ..sinks.stacks import MEANING, place, user_stack
from ..symbols.files import DebugFiles
from ..symbols.functions import Place
from ..system import log
from ..system.settings import Settings
from .recording import read_recording

if TYPE_CHECKING:
    from argparse import Namespace

    from ..incident.model import Incident
    from ..incident.stack import Frame


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
    trigger, frames = incident.trigger, user_stack(incident)
    if frames is None:
        return
    by = f"  {BY.get(trigger.by, trigger.by)}" if trigger.by else ""
    task = f"{trigger.command or '?'} [{'?' if trigger.pid is None else trigger.pid}]"
    yield printable(f"{incident.id}  {full_name(incident)}  {task}{by}")
    for number, frame in enumerate(frames):
        yield printable(f"    #{number:<3} {_words(frame, files, innermost=number == 0)}")


def _words(frame: Frame, files: DebugFiles, *, innermost: bool) -> str:
    where = place(frame)
    if frame.build_id is None or frame.offset is None:
        return "?  (in no file whose build id the kernel had at hand)"
    # A call's return address may lie behind the function that calls.
    offset = frame.offset if innermost else frame.offset - 1
    named = Place()
    for file in files.of(frame.build_id):
        found = file.place(offset)
        named = Place(
            named.function or found.function, named.file or found.file, named.line or found.line
        )
    line = "" if named.file is None else f"  {named.file}:{named.line}"
    return f"{named.function or '?'}{line}  ({where})"
