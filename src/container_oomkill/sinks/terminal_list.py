# SPDX-License-Identifier: Apache-2.0
"""Lists incidents, newest first: what `container-oomkill show` prints.

On a terminal each has a line of facts and, below it, what fits of its verdict. Elsewhere each is
one line, for grep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ..incident.model import Incident
from ..units import size
from .names import Key, full_name
from .printable import cut_end, printable, shorten, shorten_sentence, table_row, width, wrap
from .repeats import key_of
from .terminal import BOLD, DIM, OFF

T = TypeVar("T")
HEAD = ("id", "when", "container", "scope", "limit", "node", "verdict")
LEFT = (True, True, True, True, False, True, True)
NODE = HEAD.index("node")
EACH = 5  # of one container, unless asked for more
NAME_COLUMNS, NAME_MIN = 40, 16
NODE_COLUMNS = 30
INDENT = 2
LINES = 2  # of a verdict
NARROW = 100  # columns, from where on there is room for the year


def fold(newest_first: Sequence[Incident], each: int = EACH) -> tuple[list[Incident], Counter[str]]:
    """Return the newest ``each`` of every container, and how many of which are left out.

    One container in a loop would leave no room for the others.
    """
    seen: Counter[Key] = Counter()
    shown: list[Incident] = []
    more: Counter[str] = Counter()
    for incident in newest_first:
        key = key_of(incident)
        seen[key] += 1
        if seen[key] <= each:
            shown.append(incident)
        else:
            more[full_name(incident)] += 1
    return shown, more


@dataclass(frozen=True, slots=True)
class TerminalList:
    """``columns``: the terminal's; None: it is none, and nothing is cut.

    ``habits``: what an incident has in common with those before it, by id; on a terminal only.
    ``nodes``: say where each was; else there is one node only.
    """

    columns: int | None
    colour: bool = False
    habits: Mapping[str, str] = field(default_factory=dict)
    nodes: bool = False

    def lines(self, incidents: Sequence[Incident]) -> Iterator[str]:
        if self.columns is None:
            table = [*map(self._with_nodes, (HEAD, *map(_row, incidents)))]
            left = self._with_nodes(LEFT)
            widths = [max(map(width, column)) for column in zip(*table, strict=True)]
            yield from (table_row(row, widths, left) for row in table)
        else:
            yield from self._on_terminal(incidents, self.columns)

    def _on_terminal(self, incidents: Sequence[Incident], columns: int) -> Iterator[str]:
        clock = "%Y-%m-%d %H:%M:%S" if columns >= NARROW else "%m-%d %H:%M:%S"
        rows = [_row(incident, clock) for incident in incidents]
        table = [self._with_nodes(row)[:-1] for row in (HEAD, *rows)]
        left = self._with_nodes(LEFT)
        widths = [max(map(width, column)) for column in zip(*table, strict=True)]
        others = sum(widths) - widths[2] + 2 * (len(widths) - 1)
        shown = len(widths)
        if columns - others < NAME_MIN:  # the verdict below has scope and limit, too
            shown = 3
            others = widths[0] + widths[1] + 4
        widths[2] = max(1, min(widths[2], columns - others))
        for number, row in enumerate(table):
            cells = [*row[:2], shorten(row[2], widths[2]), *row[3:]][:shown]
            line = cut_end(table_row(cells, widths[:shown], left[:shown]), columns)
            yield self._in(DIM if number == 0 else BOLD, line)
            if number:
                yield from _below(rows[number - 1][-1], columns)
                if habit := self.habits.get(incidents[number - 1].id):
                    yield from _below(printable(habit), columns)

    def _with_nodes(self, row: tuple[T, ...]) -> tuple[T, ...]:
        return row if self.nodes else row[:NODE] + row[NODE + 1 :]

    def _in(self, style: str, text: str) -> str:
        return f"{style}{text}{OFF}" if self.colour else text


def _below(verdict: str, columns: int) -> Iterator[str]:
    room = max(columns - INDENT, 1)
    short = shorten_sentence(verdict, lambda text: len(wrap(text, room, " ")) <= LINES)
    for line in wrap(short, room, " "):
        yield " " * min(INDENT, columns - 1) + line


def _row(incident: Incident, clock: str = "%Y-%m-%d %H:%M:%S") -> tuple[str, ...]:
    limit = None if incident.domain is None else incident.domain.limit_bytes
    return (
        incident.id,
        datetime.fromtimestamp(incident.time).strftime(clock),
        shorten(printable(full_name(incident)), NAME_COLUMNS),
        printable(incident.scope or "unknown"),
        "" if limit is None else size(limit),
        shorten(printable(incident.node), NODE_COLUMNS),
        printable(incident.verdict or "cause unknown"),
    )
