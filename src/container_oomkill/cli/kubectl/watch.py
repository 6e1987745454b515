# SPDX-License-Identifier: Apache-2.0
"""Follows the cluster's incidents: asks all exporters again and again for what is new.

A stream from each node would be one connection through the API server for each, for as long as
somebody watches. What is asked for overlaps with what was had: a record comes later than its kill.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import Error
from ...sinks.formats import open_sink
from ...sinks.text import Text, wants_colour
from ...system import log
from .session import write_as_it_came

if TYPE_CHECKING:
    from typing import TextIO

    from .session import Fleet, KubectlSettings

OVERLAP_SECONDS = 120.0  # a record may be as late as this, and a clock as wrong


def watch(
    settings: KubectlSettings,
    fleet: Fleet,
    stdout: TextIO,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Print what happens from now on, or from --since, until interrupted or ``--count`` are out.

    What is wrong is said once, for as long as it lasts. Raises `Error` only at the start: later it
    is said, and tried again.
    """
    query = settings.query
    start = query.after_time
    text = Text(stdout, colour=wants_colour(stdout, settings.colour), nodes=True)
    sink = text if settings.output == "text" else open_sink(settings.output, stdout)
    seen: dict[tuple[str, str], float] = {}
    said: set[str] | None = None  # None: nobody was asked yet
    printed = 0
    while True:
        since = max(start or 0.0, clock() - OVERLAP_SECONDS) if seen or start is None else start
        try:
            gathered = fleet.gather(replace(query, after_time=since, since=str(since)))
        except Error as error:
            if said is None:
                raise
            said = _say({str(error)}, said)
            sleep(settings.interval)
            continue
        news = [
            (found, incident)
            for found, incident in zip(gathered.found, gathered.incidents(), strict=True)
            if (found.node, found.id) not in seen
        ]
        seen = {key: at for key, at in seen.items() if at > since}
        seen |= {(found.node, found.id): found.time for found, _ in news}
        if said is None and start is None:
            news = []  # they were there before us
        said = _say({*gathered.notes()}, said or set())
        for found, incident in reversed(news):
            if settings.output == "json":
                write_as_it_came(found, stdout)
            else:
                sink(incident)
            printed += 1
            if printed == settings.count:
                return 0
        sleep(settings.interval)


def _say(notes: set[str], said: set[str]) -> set[str]:
    for note in sorted(notes - said):
        log.warn(note)
    if said and not notes:
        log.info("every node answers again")
    return notes
