# SPDX-License-Identifier: Apache-2.0
"""Opens the sink of what was out of memory without a kill, in each output format."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ..stuck.model import (
    CHARGE_REFUSED,
    HUGE_PAGE_REFUSED,
    NOTHING_KILLABLE,
    OOM_DISABLED,
    THROTTLED,
)
from ..units import duration
from .logfmt import line
from .printable import printable, shorten, wrap
from .stuck_names import stuck_name
from .stuck_record import render_stuck, stuck_to_object
from .text import (
    BESIDE,
    BOLD,
    COLUMNS,
    DIM,
    INDENT,
    NARROWEST,
    PLAIN,
    terminal_columns,
    wants_colour,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from ..stuck.model import Stuck

YELLOW = "\033[1;33m"
NAME_MIN = 20
SHORT = {
    NOTHING_KILLABLE: "nothing may be killed",
    OOM_DISABLED: "made to wait by memory.oom_control",
    CHARGE_REFUSED: "refused memory",
    THROTTLED: "throttled over memory.high",
    HUGE_PAGE_REFUSED: "refused huge pages",
}


def open_stuck_sink(
    output: str, stream: TextIO, *, colour: str = "auto"
) -> Callable[[Stuck], None]:
    """As `formats.open_sink`, for the same stream."""
    if output == "json":
        render = render_stuck
    elif output == "logfmt":

        def render(stuck: Stuck) -> str:
            return line(stuck_to_object(stuck))
    else:
        coloured = wants_colour(stream, colour)

        def render(stuck: Stuck) -> str:
            columns = max(NARROWEST, min(terminal_columns(stream) or COLUMNS, COLUMNS))
            return "\n".join(lines(stuck, columns, colour=coloured))

    def write(stuck: Stuck) -> None:
        stream.write(render(stuck) + "\n")
        stream.flush()

    return write


def short_cause(stuck: Stuck) -> str:
    """The cause in a few words."""
    return SHORT.get(stuck.stuck.cause or "", "nothing was killed")


def reason(stuck: Stuck) -> str:
    """Say what it was, and for how long."""
    seconds, ended = stuck.stuck.seconds, stuck.stuck.ended
    if not seconds:
        return short_cause(stuck)
    return f"{short_cause(stuck)} for {duration(seconds)}{' so far' if ended is False else ''}"


def lines(stuck: Stuck, columns: int, *, colour: bool = False) -> Iterator[str]:
    """Yield its lines, none longer than ``columns``."""
    when = datetime.fromtimestamp(stuck.time).strftime("%H:%M:%S")
    words = reason(stuck)
    room = columns - len("00:00:00  STUCK  ") - len(words) - 2
    name = shorten(printable(stuck_name(stuck)), max(room, NAME_MIN))
    head = "STUCK"
    if colour:
        head, name = f"{YELLOW}{head}{PLAIN}", f"{BOLD}{name}{PLAIN}"
    yield f"{when}  {head}  {name}  {words}"
    for word, body in (("in", stuck.cgroup), ("why", stuck.verdict)):
        if not body:
            continue
        text = printable(body)
        parts = wrap(text, columns - BESIDE, " ") if word == "why" else None
        for number, part in enumerate(parts or [shorten(text, columns - BESIDE)]):
            start = f"{'' if number else word:8}"
            yield INDENT + (f"{DIM}{start}{PLAIN}" if colour else start) + part
