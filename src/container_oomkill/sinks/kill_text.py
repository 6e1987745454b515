# SPDX-License-Identifier: Apache-2.0
"""Writes a `Kill` as a few lines of text, under a headline like that of an incident."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TextIO

from ..killers.cause import (
    BY_CGROUP,
    EARLYOOM,
    ENDED,
    EVICTION,
    FAILED_PROBE,
    HOST,
    INSIDE,
    OTHER_CONTAINER,
    PARENT,
    RUNTIME_KILL,
    RUNTIME_STOP,
    SHARED,
    SYSTEMD,
    SYSTEMD_OOMD,
    USER,
)
from ..killers.model import Kill
from ..units import duration
from .kill_names import kill_name
from .printable import printable, shorten, wrap
from .text import (
    BESIDE,
    BOLD,
    COLUMNS,
    DIM,
    INDENT,
    NARROWEST,
    PLAIN,
    task,
    terminal_columns,
)

YELLOW = "\033[1;33m"
NAME_COLUMNS = 40
SHORT = {
    RUNTIME_STOP: "its time to stop ran out",
    RUNTIME_KILL: "by its runtime, at once",
    EVICTION: "its pod was evicted",
    FAILED_PROBE: "its probe failed",
    SYSTEMD: "by systemd",
    SYSTEMD_OOMD: "by systemd-oomd",
    EARLYOOM: "by earlyoom",
    BY_CGROUP: "by cgroup.kill",
    ENDED: "its PID 1 ended",
    PARENT: "its parent ended",
    SHARED: "shared the memory of an OOM kill's victim",
    INSIDE: "from inside the container",
    OTHER_CONTAINER: "by another container",
    USER: "by hand or a script",
    HOST: "by a process of the host",
}


def short_cause(kill: Kill) -> str:
    """The cause in a few words."""
    return SHORT.get(kill.killer.cause or "", "by nobody knows whom")


class KillText:
    """A sink."""

    def __init__(self, stream: TextIO, *, colour: bool = False) -> None:
        self._stream = stream
        self._colour = colour

    def __call__(self, kill: Kill) -> None:
        terminal = terminal_columns(self._stream) or COLUMNS
        columns = max(NARROWEST, min(terminal, COLUMNS))
        self._stream.write("\n".join(lines(kill, columns, colour=self._colour)) + "\n")
        self._stream.flush()


def lines(kill: Kill, columns: int, *, colour: bool = False) -> Iterator[str]:
    """Yield its lines, none longer than ``columns``."""
    when = datetime.fromtimestamp(kill.time).strftime("%H:%M:%S")
    reason = short_cause(kill)
    room = columns - len("00:00:00  KILL  ") - len(reason) - 2
    name = shorten(printable(kill_name(kill)), max(room, NAME_COLUMNS // 2))
    kind, name = (f"{YELLOW}KILL{PLAIN}", f"{BOLD}{name}{PLAIN}") if colour else ("KILL", name)
    yield f"{when}  {kind}  {name}  {reason}"
    for head, body in _body(kill, columns - BESIDE):
        shown = f"{head:8}"
        blank = " " if head == "why" else "  "
        for number, part in enumerate(wrap(body, columns - BESIDE, blank)):
            start = " " * 8 if number else shown
            yield INDENT + (f"{DIM}{start}{PLAIN}" if colour else start) + part


def _body(kill: Kill, room: int) -> Iterator[tuple[str, str]]:
    target, killer, stop = kill.target, kill.killer, kill.stop
    parts = [task(target.command, target.pid)]
    if target.is_init:
        parts.append("PID 1 of the container")
    if target.uptime_seconds is not None:
        parts.append(f"up {duration(target.uptime_seconds)}")
    yield "killed", "  ".join(parts)
    if stop is not None and stop.signal is not None:
        ago = "" if stop.seconds_before is None else f"{duration(stop.seconds_before)} before  "
        yield "stop", f"{stop.signal}  {ago}by {task(stop.command, stop.pid)}"
    parts = [task(killer.command, killer.pid)]
    if killer.parent_command and killer.parent_command != killer.command:
        parts.append("of " + shorten(printable(killer.parent_command), NAME_COLUMNS))
    if killer.uid is not None:
        parts.append(f"uid {killer.uid}")
    yield "by", "  ".join(parts)
    for head, path in (("in", target.cgroup), ("from", killer.cgroup)):
        if path and (head == "in" or path != target.cgroup):
            yield head, shorten(printable(path), room)
    if kill.verdict:
        yield "why", printable(kill.verdict)
