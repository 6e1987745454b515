# SPDX-License-Identifier: Apache-2.0
"""Writes an incident as a few lines of text: what was killed, where, by which limit, and why.

As wide as the terminal, never wider than 100 columns. What is unknown is left out; nothing is shown
as 0 that was not 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TextIO

from ..diagnosis.breakdown import Breakdown, Part, find_breakdown, of_node
from ..diagnosis.node_table import CONTAINER, HOST, node_table
from ..incident.model import Candidate, Container, Incident, Victim
from ..units import duration, in_mib, size
from .gfp import gfp_names
from .names import BY, UNRESOLVED, full_name, short_id, what_ran_out
from .printable import printable, shorten, width, wrap
from .repeats import Repeats, repeat_words
from .sparkline import shows_levels, sparklines

COLUMNS, NARROWEST = 100, 60
INDENT = " " * 10
BESIDE = len(INDENT) + 8  # columns of the heads
ROOM = COLUMNS - BESIDE
VICTIMS_SHOWN = 10
CMDLINE_LINES = 3
CANDIDATES_SHOWN = 5
HOLDERS_SHOWN = 5
NAME_MIN = 12  # columns
SENTENCES = ("cmdline", "why")  # whose words may stand on any line
BOLD_RED, BOLD, DIM, PLAIN = "\033[1;31m", "\033[1m", "\033[2m", "\033[0m"


def wants_colour(stream: TextIO, choice: str) -> bool:
    """``auto``: on a terminal, unless NO_COLOR is set or the terminal has none."""
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_columns(stream: TextIO) -> int | None:
    """Return how wide the terminal is that the stream goes to; None: it goes elsewhere."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:  # not one, or no file at all
        return None


class Text:
    """A sink. ``nodes``: say where each was; else there is one node only."""

    def __init__(self, stream: TextIO, *, colour: bool = False, nodes: bool = False) -> None:
        self._nodes = nodes
        self._stream = stream
        self._colour = colour
        self._blocks = shows_levels(stream)
        self._repeats = Repeats()

    def __call__(self, incident: Incident) -> None:
        # At every incident: somebody may have made the window narrower.
        terminal = terminal_columns(self._stream) or COLUMNS
        columns = max(NARROWEST, min(terminal, COLUMNS))
        lines = list(self._headline(incident, columns))
        room = columns - BESIDE
        parts = [("node", printable(incident.node))] if self._nodes else []
        parts += _body(incident, room, blocks=self._blocks)
        for head, body in parts:
            for number, part in enumerate(wrap(body, room, " " if head in SENTENCES else "  ")):
                lines.append(INDENT + self._in(DIM, f"{'' if number else head:8}") + part)
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()

    def _headline(self, incident: Incident, columns: int) -> Iterator[str]:
        """One line, or two where there is little room."""
        when = datetime.fromtimestamp(incident.time).strftime("%H:%M:%S")
        head = f"{when}  {self._in(BOLD_RED, 'OOM')}  "
        room = columns - len("00:00:00  OOM  ")
        again = repeat_words(self._repeats(incident))
        reason = what_ran_out(incident) + (f"  {again}" if again else "")
        beside = room - len(reason) - 2
        name = printable(full_name(incident))
        if beside >= min(width(name), NAME_MIN):
            yield f"{head}{self._in(BOLD, shorten(name, beside))}  {reason}"
        else:
            yield head + self._in(BOLD, shorten(name, room))
            yield INDENT + reason

    def _in(self, style: str, text: str) -> str:
        return f"{style}{text}{PLAIN}" if self._colour else text


def _body(incident: Incident, room: int, *, blocks: bool) -> Iterator[tuple[str, str]]:
    for victim in incident.victims[:VICTIMS_SHOWN]:
        yield "killed", _victim(victim)
        if victim.cmdline:
            yield "cmdline", shorten(printable(victim.cmdline), CMDLINE_LINES * room)
    more = incident.kills - VICTIMS_SHOWN
    if more > 0:
        yield "", f"and {more} more"
    if asked := who_asked(incident, room):
        yield "asked", asked
    shown = (incident.candidates or ())[:CANDIDATES_SHOWN]
    if also := "  ".join(_candidate(each, incident.container) for each in shown):
        yield "also", also
    if memory := _memory(find_breakdown(incident)):
        yield "memory", memory
    if memory := _memory(of_node(incident.node_memory)):
        yield "node", memory
    if held := _held(incident):
        yield "held by", held
    if nameless := _nameless(incident.container):
        yield "name", printable(nameless)
    yield from _places(incident, room)
    for number, line in enumerate(sparklines(incident, room, blocks=blocks)):
        yield "" if number else "before", line
    if incident.verdict:
        yield "why", printable(incident.verdict)


def _victim(victim: Victim) -> str:
    rss = victim.rss
    sizes = (
        ("anon", rss.anon_bytes),
        ("file", rss.file_bytes),
        ("shmem", rss.shmem_bytes),
        ("swap", victim.swap_bytes),
        ("page tables", victim.pagetables_bytes),
    )
    facts = (
        ("score", victim.points),
        ("adj", victim.oom_score_adj),
        ("up", None if victim.uptime_seconds is None else duration(victim.uptime_seconds)),
    )
    parts = [task(victim.command, victim.pid if victim.pid is not None else victim.tid)]
    if known := _known(sizes):
        parts.append(known)
    parts += [f"{name} {value}" for name, value in facts if value is not None]
    return "  ".join(parts)


def _candidate(candidate: Candidate, own: Container) -> str:
    words = task(candidate.command, candidate.pid)
    if candidate.rss_bytes is not None:
        words += f" {size(candidate.rss_bytes)}"
    if candidate.oom_score_adj:
        words += f" adj {candidate.oom_score_adj}"
    if candidate.container is not None and candidate.container not in (own.name, own.id):
        words += " of " + shorten(printable(short_id(candidate.container) or ""), 40)
    return words


def _held(incident: Incident) -> str:
    """Whose the node's memory was: the largest by name, and what is nobody's."""
    table = node_table(incident)
    named = [row for row in table if row.kind in (CONTAINER, HOST)][:HOLDERS_SHOWN]
    rest = [row for row in table if row.kind not in (CONTAINER, HOST)]
    return "  ".join(f"{shorten(printable(row.name), 40)} {size(row.held)}" for row in named + rest)


def _memory(breakdown: Breakdown | None) -> str:
    """Where the memory was, by the cgroup's memory.stat or the node's counters.

    The kinds add up, but for what one is made of: of that a tenth or more is shown.
    """
    if breakdown is None or not breakdown.of_all:
        return ""
    shown: list[Part] = []
    for part in breakdown.parts:
        shown.append(part)
        shown += (each for each in part.parts if _is_much(each, part))
    words = [part.amount(in_mib) for part in shown if part.bytes or not part.seldom]
    if not words:
        return ""
    return "  ".join(words) + " MiB" + ("  (approximate)" if breakdown.approximate else "")


def _is_much(part: Part, whole: Part) -> bool:
    return 0 < whole.bytes <= 10 * part.bytes and not part.is_rest


def _known(sizes: Iterable[tuple[str, int | None]]) -> str:
    known = [f"{name} {in_mib(bytes_)}" for name, bytes_ in sizes if bytes_ is not None]
    return "  ".join(known) + " MiB" if known else ""


def task(command: str | None, pid: int | None) -> str:
    """A process, printable."""
    name = shorten(printable(command), 40) if command else "?"
    return f"{name} [{'?' if pid is None else pid}]"


def who_asked(incident: Incident, room: int = ROOM) -> str:
    """The trigger and its request, in about ``room`` columns; empty where nothing is known."""
    trigger, oom = incident.trigger, incident.oom
    if trigger.pid is None and trigger.command is None:
        return ""
    parts = [task(trigger.command, trigger.pid)]
    if trigger.by is not None:
        parts.append(printable(BY.get(trigger.by, trigger.by)))
    if oom.order is not None:
        parts.append(f"order {oom.order}")
    if oom.gfp_mask is not None:
        parts.append(f"gfp {oom.gfp_mask:#x} {gfp_names(oom.gfp_mask)}")
    if trigger.container is not None and trigger.container.name:
        parts.append("of " + shorten(printable(trigger.container.name), 40))
    elif trigger.cgroup and trigger.cgroup != incident.victims[0].cgroup:
        left = room - width("  ".join(parts)) - 5
        parts.append("in " + shorten(printable(trigger.cgroup), max(left, 20)))
    return "  ".join(parts)


def _nameless(container: Container) -> str:
    """Why there is an id and no name."""
    reason = container.unresolved
    return f"unknown: {UNRESOLVED.get(reason, reason)}" if reason else ""


def _places(incident: Incident, room: int) -> Iterator[tuple[str, str]]:
    """The cgroups, where their paths say more than the headline."""
    cgroup = incident.victims[0].cgroup
    domain = incident.domain
    if cgroup and cgroup != full_name(incident):
        yield "in", shorten(printable(cgroup), room)
    if domain is not None and domain.cgroup and domain.cgroup != cgroup:
        yield "limit", shorten(printable(domain.cgroup), room)
