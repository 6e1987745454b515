# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill replay`: prints the incidents of a recording in any format."""

from __future__ import annotations

import sys

from ..system.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace


class ReplaySettings(Settings):
    """As the options have them."""

    file: str
    output: str = "text"
    colour: str = "auto"
    as_recorded: bool = False

    @classmethod
    def from_args(cls, args: Namespace) -> ReplaySettings:
        return cls(
            file=args.file,
            output=args.output,
            colour=args.color,
            as_recorded=args.as_recorded,
        )


def command(args: Namespace) -> int:
    """Give every record to a sink; errors as `read_recording`."""
    from ..sinks.formats import open_sink
    from ..sinks.kill_formats import open_kill_sink
    from ..sinks.stuck_formats import open_stuck_sink
    from .recording import replay

    settings = ReplaySettings.from_args(args)
    sink = open_sink(settings.output, sys.stdout, colour=settings.colour)
    kills = open_kill_sink(settings.output, sys.stdout, colour=settings.colour)
    stuck = open_stuck_sink(settings.output, sys.stdout, colour=settings.colour)
    replay(settings.file, sink, kills=kills, stuck=stuck, as_recorded=settings.as_recorded)
    return 0
