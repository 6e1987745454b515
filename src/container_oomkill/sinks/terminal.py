# SPDX-License-Identifier: Apache-2.0
"""Shows an incident in full, as wide as the terminal: the exporter's page, in characters.

This is what `container-oomkill show ID` prints; the list is in `terminal_list`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ..diagnosis.breakdown import (
    KINDS,
    REST,
    Breakdown,
    Kind,
    find_breakdown,
    of_cgroup,
    of_node,
    of_processes,
    of_victims_cgroup,
)
from ..diagnosis.node_table import Row, node_table
from ..diagnosis.verdict import next_steps
from ..incident.model import Candidate, Domain, Incident, Victim
from ..units import MIB, duration, in_mib, size
from .bar import BLOCKS, FREE, PLAIN, cells, sizes
from .names import full_name, what_ran_out
from .printable import cut_end, pad, printable, shorten, table_row, width, wrap
from .repeats import repeat_words
from .sparkline import sparklines
from .text import who_asked

NARROWEST, WIDEST = 60, 120
HEAD = 9  # columns of a line's head
BOLD_RED, BOLD, DIM, OFF = "\033[1;31m", "\033[1m", "\033[2m", "\033[0m"
COLOURS = {
    "anon": "\033[31m",
    "file": "\033[34m",
    "shmem": "\033[33m",
    "kernel": "\033[35m",
    "sockets": "\033[36m",
    "hugetlb": "\033[94m",
    "pinned": "\033[91m",
    "page_tables": "\033[32m",
    "rest": "\033[37m",
    FREE: DIM,
}
TASKS_SHOWN = 20
NARROW_COMMAND = 24
HOLDER_NAME = 40


class TerminalView:
    """How wide, in what characters, and whether in colour."""

    def __init__(self, columns: int, *, blocks: bool, colour: bool) -> None:
        """``blocks``: whether the stream can show them."""
        self._columns = max(NARROWEST, min(columns, WIDEST))
        self._blocks = blocks
        self._glyphs = BLOCKS if blocks else PLAIN
        self._colour = colour

    def one(self, incident: Incident, times: int = 1, habit: str = "") -> Iterator[str]:
        """Give the lines of one incident; ``times``: which one it is of its container's today.

        ``habit``: what it has in common with those before it.
        """
        yield self._in(BOLD_RED, "OOM") + "  " + self._in(BOLD, self._title(incident))
        again = filter(None, (repeat_words(times), habit))
        facts = (*again, f"id {incident.id}", f"node {incident.node}", f"by {incident.hook}")
        yield from self._lines(_when(incident), "  ".join(map(printable, facts)))
        yield from self._lines("of", _whose(incident))
        if incident.verdict:
            yield ""
            yield from (
                self._in(BOLD, line)
                for line in wrap(printable(incident.verdict), self._columns, " ")
            )
        for block in (
            self._bar("memory", find_breakdown(incident)),
            self._bar("cgroup", of_victims_cgroup(incident)),
            self._bar("node", of_node(incident.node_memory)),
            self._holders(incident),
            self._before(incident),
            self._side_by_side(incident),
            self._tasks(incident),
            self._command_line(incident.victims[0]),
            self._lines("asked", who_asked(incident)),
            self._next(incident),
        ):
            lines = list(block)
            if lines:
                yield ""
                yield from lines

    def _title(self, incident: Incident) -> str:
        reason = what_ran_out(incident)
        room = self._columns - len("OOM    ") - len(reason)
        return f"{shorten(printable(full_name(incident)), max(room, 20))}  {reason}"

    def _in(self, style: str, text: str) -> str:
        return f"{style}{text}{OFF}" if self._colour else text

    def _lines(self, head: str, body: str, blank: str = "  ") -> Iterator[str]:
        """A head that is dim, and a body beside it, or below if the head is long."""
        if not body:
            return
        indent = HEAD if len(head) < HEAD else len(head) + 2
        for number, part in enumerate(wrap(body, self._columns - indent, blank)):
            yield self._in(DIM, f"{'' if number else head:{indent}}") + part

    def _bar(self, head: str, breakdown: Breakdown | None) -> Iterator[str]:
        if breakdown is None or not (known := sizes(breakdown)):
            return
        shares = cells(known, self._columns - HEAD)
        bar = "".join(self._piece(kind, count) for kind, count in shares.items())
        yield self._in(DIM, f"{head:{HEAD}}") + bar
        legend = [(part.kind, part.amount(size)) for part in breakdown.parts if part.bytes]
        if FREE in known:
            legend.append((FREE, f"{FREE} {size(known[FREE])}"))
        body = "  ".join(f"{self._glyphs[kind]} {words}" for kind, words in legend)
        if breakdown.approximate:
            body += "  (approximate)"
        for line in wrap(body, self._columns - HEAD):
            yield " " * HEAD + line

    def _piece(self, kind: str, count: int) -> str:
        return self._in(COLOURS[kind], self._glyphs[kind] * count) if count else ""

    def _before(self, incident: Incident) -> Iterator[str]:
        room = self._columns - HEAD
        for number, line in enumerate(sparklines(incident, room, blocks=self._blocks)):
            yield self._in(DIM, f"{'' if number else 'before':{HEAD}}") + line

    def _side_by_side(self, incident: Incident) -> Iterator[str]:
        """The domain, the victim's cgroup where it is another, and the victim."""
        victim, domain = incident.victims[0], incident.domain
        sides: list[tuple[str, Column]] = []
        if domain is not None:
            sides.append(("the limit's cgroup", _cgroup(domain)))
        if domain is None or victim.stat is not None or victim.cgroup_id != domain.cgroup_id:
            sides.append(("its own cgroup", _cgroup(victim)))
        sides.append((printable(victim.command or "the process"), _process(victim)))
        known = [side for side in sides if side[1]]
        if not known:
            return
        wide = min(20, (self._columns - ROW_HEAD) // len(known))
        heads = "".join(pad(shorten(name, wide - 2), wide, False) for name, _ in known)
        yield self._in(DIM, f"{'MiB':{ROW_HEAD}}{heads}")
        for kind, words, seldom in _rows():
            numbers = [column.get(kind) for _, column in known]
            if any(numbers) or (not seldom and numbers.count(None) < len(numbers)):
                shown = ("" if n is None else in_mib(n) for n in numbers)
                yield f"{words:{ROW_HEAD}}" + "".join(f"{text:>{wide}}" for text in shown)
        limit_of = None if domain is None or domain.cgroup == victim.cgroup else domain.cgroup
        for head, path in (("limit of", limit_of), ("killed in", victim.cgroup)):
            if path:
                room = self._columns - HEAD - 2
                yield self._in(DIM, f"{head:{HEAD + 2}}") + shorten(printable(path), room)

    def _holders(self, incident: Incident) -> Iterator[str]:
        """Whose the node's memory was."""
        rows = [*map(_holder, node_table(incident))]
        if rows:
            yield from self._table(HOLDER_HEAD, rows, HOLDER_LEFT)

    def _tasks(self, incident: Incident) -> Iterator[str]:
        rows = [*map(_killed, incident.victims), *map(_spared, incident.candidates or ())]
        yield from self._table(TASK_HEAD, rows[:TASKS_SHOWN], TASK_LEFT)
        if len(rows) > TASKS_SHOWN:
            unlisted = incident.kills - len(incident.victims)
            yield f"and {len(rows) - TASKS_SHOWN + unlisted} more"

    def _table(
        self, head: tuple[str, ...], rows: list[tuple[str, ...]], left: tuple[bool, ...]
    ) -> Iterator[str]:
        table = [head, *rows]
        widths = [max(map(width, column)) for column in zip(*table, strict=True)]
        for number, row in enumerate(table):
            line = cut_end(table_row(row, widths, left), self._columns)
            yield self._in(DIM, line) if number == 0 else line

    def _command_line(self, victim: Victim) -> Iterator[str]:
        return self._lines("cmdline", printable(victim.cmdline or ""), " ")

    def _next(self, incident: Incident) -> Iterator[str]:
        for number, step in enumerate(next_steps(incident), 1):
            head = "next" if number == 1 else ""
            yield from self._lines(head, f"{number}. {step.text}", " ")
            yield " " * HEAD + self._in(DIM, f"   container-oomkill explain {step.name}")


TASK_HEAD = ("", "pid", "command", "resident MiB", "swap MiB", "score", "adj", "up")
TASK_LEFT = (True, False, True, False, False, False, False, True)
HOLDER_HEAD = ("", "held by", "MiB", "limit", "request", "last minute", "last hour")
HOLDER_LEFT = (True, True, False, False, False, False, False)
ROW_HEAD = 18
TOTALS = ("limit", "usage", "peak", "swap")
Column = dict[str, int]  # bytes by kind, as far as they are known


def _whose(incident: Incident) -> str:
    """What else is known of the container, for whoever has to find its owner."""
    container = incident.container
    facts = (
        ("workload", container.workload),
        ("service", container.service),
        ("image", container.image),
        ("runtime", container.runtime),
    )
    return "  ".join(f"{what} {printable(text)}" for what, text in facts if text)


def _rows() -> Iterator[tuple[str, str, bool]]:
    """Each row's kind, its words, and whether it is shown only where there is any.

    The totals, then the kinds, what is within one indented.
    """
    yield from ((total, total, False) for total in TOTALS)
    yield from _rows_of((*KINDS, REST), "")


def _rows_of(kinds: Iterable[Kind], indent: str) -> Iterator[tuple[str, str, bool]]:
    for kind in kinds:
        yield kind.name, indent + kind.label, kind.seldom
        yield from _rows_of(kind.within, indent + "  ")
        if kind.within:
            yield f"{kind.name}_{REST.name}", f"{indent}  {REST.label}", False


def _column(breakdown: Breakdown | None, *totals: int | None) -> Column:
    """Its numbers; ``totals`` as in `TOTALS`."""
    known = {name: each for name, each in zip(TOTALS, totals, strict=True) if each is not None}
    if breakdown is not None:
        known |= {part.kind: part.bytes for part in breakdown.every_part()}
    return known


def _cgroup(group: Domain | Victim) -> Column:
    peak, swap = None, None
    if isinstance(group, Domain):
        peak, swap = group.peak_bytes, group.swap_usage_bytes
    return _column(of_cgroup(group), group.limit_bytes, group.usage_bytes, peak, swap)


def _process(victim: Victim) -> Column:
    total, peak = victim.rss.total_bytes(), victim.vm.hiwater_rss_bytes
    return _column(of_processes((victim,)), None, total, peak, victim.swap_bytes)


def _killed(victim: Victim) -> tuple[str, ...]:
    up = victim.uptime_seconds
    return (
        "killed",
        _number(victim.pid if victim.pid is not None else victim.tid),
        _command(victim.command),
        _mib(victim.rss.total_bytes()),
        _mib(victim.swap_bytes),
        _number(victim.points),
        _number(victim.oom_score_adj),
        "" if up is None else duration(up),
    )


def _spared(candidate: Candidate) -> tuple[str, ...]:
    return (
        "also",
        _number(candidate.pid),
        _command(candidate.command),
        _mib(candidate.rss_bytes),
        "",
        _number(candidate.points),
        _number(candidate.oom_score_adj),
        "",
    )


def _holder(row: Row) -> tuple[str, ...]:
    return (
        "killed" if row.killed else "",
        shorten(printable(row.name), HOLDER_NAME),
        in_mib(row.held),
        _mib(row.limit),
        _mib(row.request),
        _grown(row.grew_minute),
        _grown(row.grew_hour),
    )


def _grown(bytes_: int | None) -> str:
    return "" if bytes_ is None else f"{bytes_ / MIB:+.1f}"


def _when(incident: Incident) -> str:
    return datetime.fromtimestamp(incident.time).strftime("%Y-%m-%d %H:%M:%S")


def _command(command: str | None) -> str:
    return shorten(printable(command or "?"), NARROW_COMMAND)


def _mib(bytes_: int | None) -> str:
    return "" if bytes_ is None else in_mib(bytes_)


def _number(number: int | None) -> str:
    return "" if number is None else str(number)
