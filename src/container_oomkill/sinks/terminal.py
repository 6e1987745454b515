# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives all there is to see of it, as wide as the terminal; or many as a list.

What `container-oomkill show` prints: the page of the exporter, in characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ..diagnosis.verdict import next_steps
from ..incident.model import Candidate, Incident, Stat, Victim
from ..units import duration, in_mib, size
from .bar import BLOCKS, FREE, PLAIN, Place, cells, find_place, parts
from .printable import ELLIPSIS, printable, shorten, width, wrap
from .text import display_name, what_ran_out, who_asked

NARROWEST, WIDEST = 60, 120
HEAD = 9  # columns of a line's head
BOLD_RED, BOLD, DIM, OFF = "\033[1;31m", "\033[1m", "\033[2m", "\033[0m"
COLOURS = {
    "anon": "\033[31m",
    "file": "\033[34m",
    "shmem": "\033[33m",
    "kernel": "\033[35m",
    "sockets": "\033[36m",
    "other": "\033[37m",
    FREE: DIM,
}
TASKS_SHOWN = 20
NARROW_COMMAND = 24


class TerminalView:
    """How wide, in what characters, and whether in colour."""

    def __init__(self, columns: int, *, blocks: bool, colour: bool) -> None:
        """``blocks``: whether the stream can show them."""
        self._columns = max(NARROWEST, min(columns, WIDEST))
        self._glyphs = BLOCKS if blocks else PLAIN
        self._colour = colour

    def one(self, incident: Incident) -> Iterator[str]:
        """Give the lines of one incident."""
        yield self._in(BOLD_RED, "OOM") + "  " + self._in(BOLD, self._title(incident))
        facts = (f"id {incident.id}", f"node {incident.node}", f"by {incident.hook}")
        yield from self._lines(_when(incident), "  ".join(map(printable, facts)))
        if incident.verdict:
            yield ""
            yield from (
                self._in(BOLD, line)
                for line in wrap(printable(incident.verdict), self._columns, " ")
            )
        for block in (
            self._bar(find_place(incident)),
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
        return f"{shorten(printable(display_name(incident)), max(room, 20))}  {reason}"

    def _in(self, style: str, text: str) -> str:
        return f"{style}{text}{OFF}" if self._colour else text

    def _lines(self, head: str, body: str, blank: str = "  ") -> Iterator[str]:
        """A head that is dim, and a body beside it, or below if the head is long."""
        if not body:
            return
        indent = HEAD if len(head) < HEAD else len(head) + 2
        for number, part in enumerate(wrap(body, self._columns - indent, blank)):
            yield self._in(DIM, f"{'' if number else head:{indent}}") + part

    def _bar(self, place: Place) -> Iterator[str]:
        sizes = parts(place)
        if not sizes:
            return
        shares = cells(sizes, self._columns - HEAD)
        bar = "".join(self._piece(kind, count) for kind, count in shares.items())
        yield self._in(DIM, f"{'memory':{HEAD}}") + bar
        legend = [f"{kind} {size(bytes_)}" for kind, bytes_ in sizes.items()]
        glyphs = [self._glyphs[kind] for kind in sizes]
        body = "  ".join(f"{glyph} {words}" for glyph, words in zip(glyphs, legend, strict=True))
        if place.stat.approximate:
            body += "  (approximate)"
        for line in wrap(body, self._columns - HEAD):
            yield " " * HEAD + line

    def _piece(self, kind: str, count: int) -> str:
        return self._in(COLOURS[kind], self._glyphs[kind] * count) if count else ""

    def _side_by_side(self, incident: Incident) -> Iterator[str]:
        """The domain, the victim's cgroup where it is another, and the victim."""
        victim, domain = incident.victims[0], incident.domain
        sides: list[tuple[str, list[int | None]]] = []
        if domain is not None:
            swap = domain.swap_usage_bytes
            sides.append(("the limit's cgroup", _cgroup(Place.of(domain), domain.peak_bytes, swap)))
        if domain is None or victim.stat is not None or victim.cgroup_id != domain.cgroup_id:
            sides.append(("its own cgroup", _cgroup(Place.of(victim), None, None)))
        sides.append((printable(victim.command or "the process"), _process(victim)))
        known = [side for side in sides if any(number is not None for number in side[1])]
        if not known:
            return
        wide = min(20, (self._columns - 14) // len(known))
        heads = "".join(_pad(shorten(name, wide - 2), wide, False) for name, _ in known)
        yield self._in(DIM, f"{'MiB':14}{heads}")
        for row, kind in enumerate(KINDS):
            numbers = [side[1][row] for side in known]
            if any(number is not None for number in numbers):
                shown = ("" if n is None else in_mib(n) for n in numbers)
                yield f"{kind:14}" + "".join(f"{text:>{wide}}" for text in shown)
        limit_of = None if domain is None or domain.cgroup == victim.cgroup else domain.cgroup
        for head, path in (("limit of", limit_of), ("killed in", victim.cgroup)):
            if path:
                room = self._columns - HEAD - 2
                yield self._in(DIM, f"{head:{HEAD + 2}}") + shorten(printable(path), room)

    def _tasks(self, incident: Incident) -> Iterator[str]:
        rows = [*map(_killed, incident.victims), *map(_spared, incident.candidates or ())]
        table = [TASK_HEAD, *rows[:TASKS_SHOWN]]
        widths = [max(map(width, column)) for column in zip(*table, strict=True)]
        for number, row in enumerate(table):
            line = _cut(_row(row, widths, TASK_LEFT), self._columns)
            yield self._in(DIM, line) if number == 0 else line
        if len(rows) > TASKS_SHOWN:
            yield f"and {len(rows) - TASKS_SHOWN} more"

    def _command_line(self, victim: Victim) -> Iterator[str]:
        return self._lines("cmdline", printable(victim.cmdline or ""), " ")

    def _next(self, incident: Incident) -> Iterator[str]:
        for number, step in enumerate(next_steps(incident), 1):
            head = "next" if number == 1 else ""
            yield from self._lines(head, f"{number}. {step.text}", " ")
            yield " " * HEAD + self._in(DIM, f"   docs/{step.link}")

    def several(self, incidents: Sequence[Incident], columns: int | None) -> Iterator[str]:
        """Give a line for each; ``columns``: where to cut it, None for nowhere."""
        table = [LIST_HEAD, *map(_listed, incidents)]
        widths = [max(map(width, column)) for column in zip(*table, strict=True)]
        for number, row in enumerate(table):
            line = _row(row, widths, LIST_LEFT)
            if columns is not None:
                line = _cut(line, columns)
            yield self._in(DIM, line) if number == 0 else line


TASK_HEAD = ("", "pid", "command", "resident MiB", "swap MiB", "score", "adj", "up")
TASK_LEFT = (True, False, True, False, False, False, False, True)
LIST_HEAD = ("id", "when", "container", "scope", "limit", "verdict")
LIST_LEFT = (True, True, True, True, False, True)
KINDS = (
    *("limit", "usage", "peak", "anon", "file", "shmem", "swap", "page tables"),
    *("slab", "kernel stacks", "kernel", "sockets"),
)


def _cgroup(place: Place, peak: int | None, swap: int | None) -> list[int | None]:
    """Its numbers, in the order of `KINDS`; file without shmem, as the process has it."""
    stat: Stat = place.stat
    return [
        *(place.limit_bytes, place.usage_bytes, peak),
        *(stat.anon_bytes, stat.cache_bytes(), stat.shmem_bytes, swap, stat.pagetables_bytes),
        *(stat.slab_bytes(), stat.kernel_stack_bytes, stat.kernel_bytes, stat.sock_bytes),
    ]


def _process(victim: Victim) -> list[int | None]:
    rss = victim.rss
    return [
        *(None, rss.total_bytes(), victim.vm.hiwater_rss_bytes),
        *(rss.anon_bytes, rss.file_bytes, rss.shmem_bytes),
        *(victim.swap_bytes, victim.pagetables_bytes, None, None, None, None),
    ]


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


def _listed(incident: Incident) -> tuple[str, ...]:
    limit = None if incident.domain is None else incident.domain.limit_bytes
    return (
        incident.id,
        _when(incident),
        shorten(printable(display_name(incident)), 40),
        printable(incident.scope or ""),
        "" if limit is None else size(limit),
        printable(incident.verdict or ""),
    )


def _when(incident: Incident) -> str:
    return datetime.fromtimestamp(incident.time).strftime("%Y-%m-%d %H:%M:%S")


def _command(command: str | None) -> str:
    return shorten(printable(command or "?"), NARROW_COMMAND)


def _mib(bytes_: int | None) -> str:
    return "" if bytes_ is None else in_mib(bytes_)


def _number(number: int | None) -> str:
    return "" if number is None else str(number)


def _row(row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    return "  ".join(map(_pad, row, widths, left)).rstrip()


def _pad(text: str, columns: int, left: bool) -> str:
    blanks = " " * (columns - width(text))
    return text + blanks if left else blanks + text


def _cut(line: str, columns: int) -> str:
    """What says most is at the start."""
    if width(line) <= columns:
        return line
    while width(line) > columns - 1:
        line = line[: columns - 1 - width(line)]
    return line + ELLIPSIS
