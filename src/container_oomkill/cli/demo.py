# SPDX-License-Identifier: Apache-2.0
"""`container-oomkill demo`: real incidents that come with the package, without any privilege.

assets/demo.jsonl is a recording as any other; docs/demo.md says where each of its incidents was
recorded.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..sinks.query import Query
from ..system.settings import Settings
from .filters import query_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

RECORDING = Path(__file__).parent / "assets" / "demo.jsonl"
DEMO = "container-oomkill demo"
ALL = 1000  # more than there are


class DemoSettings(Settings):
    """As the options have them."""

    wanted: str | None = None  # an incident's id, or its start; None: all
    output: str = "text"
    colour: str = "auto"
    query: Query = Query(limit=ALL)

    @classmethod
    def from_args(cls, args: Namespace) -> DemoSettings:
        """Raises `UsageError` for a filter that is none."""
        return cls(
            wanted=args.id,
            output=args.output,
            colour=args.color,
            query=query_from(args, limit=ALL),
        )


def command(args: Namespace) -> int:
    """List them, show one in full, or give their records. `UsageError` for an id of none."""
    from .show import read_latest, show_incidents, write_records

    settings = DemoSettings.from_args(args)
    incidents, broken = read_latest(str(RECORDING), settings.query)
    if broken is not None:
        raise broken
    if settings.output == "text":
        show_incidents(
            incidents,
            sys.stdout,
            wanted=settings.wanted,
            colour=settings.colour,
            filtered=bool(settings.query.parameters()),
            command=DEMO,
        )
        return 0
    write_records(incidents, sys.stdout, settings.output, wanted=settings.wanted, command=DEMO)
    return 0
