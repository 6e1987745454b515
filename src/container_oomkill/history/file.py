# SPDX-License-Identifier: Apache-2.0
"""Keeps incidents across restarts, in a bounded file of JSON lines that survives crashes.

The lines are those of `probe -o json`, so `replay`, `show --from` and jq can read the file. Each
line is on the disk when the call returns: SIGKILL loses nothing that was accepted, a power cut at
most the incident being written. A file with twice as many lines as are kept, or that has reached
its maximum size, is replaced by one with the latest of every container. docs/record.md says why it
is not a database.
"""

from __future__ import annotations

import errno
import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from ..errors import Error, UsageError
from ..sinks.names import Key
from ..system import log
from .fair import choose
from .form import INCIDENTS, Form
from .lines import Line, is_ours, read_lines, sealed
from .locked_file import LockedFile

HEAD_BYTES = 1 << 16  # that tell our file from another program's
LONGEST_LINE = 16 << 20  # or --history.max-bytes, where that is more
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Follower(Protocol):
    """Reads what is written, in a thread of its own; these are called by the writer's."""

    def written(self) -> None:
        """There is one more."""

    def unwritten(self, incident: Any) -> None:
        """The disk did not take this one."""

    def replaced(self) -> None:
        """Older ones are gone; the others have kept their numbers."""


class HistoryFile:
    """A sink; `load` first, then call it, from one thread at a time.

    Each incident in the file has a number, larger than that of the one before it, for as long as
    the process runs. What takes one may be called from any thread.
    """

    def __init__(
        self,
        path: str,
        *,
        max_incidents: int,
        max_bytes: int,
        on_lost: Callable[[], None] = lambda: None,
        form: Form = INCIDENTS,
    ) -> None:
        """Open or make the file; a damaged one is put aside, what can be read of it kept.

        ``form``: of what it is.

        ``on_lost`` is called for every incident that could not be written. Raises `UsageError` for
        a file that is another program's, in use, or cannot be opened; `Error` where the disk is
        full or fails, which is no reason not to watch.
        """
        self._path = path
        self._form = form
        self._max_incidents = max_incidents
        self._max_bytes = max_bytes
        self._on_lost = on_lost
        self._trouble = log.Once(f"write the history {path}")
        self.followers: list[Follower] = []
        self._lock = threading.Lock()  # lines, their numbers and what they point to in the file
        self._lines: list[Line] = []  # of the file
        self._ids: dict[str, int] = {}  # of these, with their numbers
        self._next = 1
        self._loaded: list[Any] = []
        self.had_more = False  # than `load` gives: the oldest are gone
        try:
            if not Path(os.path.realpath(path)).parent.is_dir():
                raise UsageError(f"open the history {path}: no such directory")
            self._file = LockedFile(path)
            try:
                self._read()
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            kind = Error if error.errno in DISK_ERRORS else UsageError
            words = (error.strerror or str(error)).lower()
            if error.errno == errno.EACCES:
                words += (
                    f": the directory must belong to user {os.geteuid()}: privileges are dropped"
                )
            raise kind(f"open the history {path}: {words}") from error

    def _read(self) -> None:
        """Read it, and repair what a crash or the disk has done to it."""
        if not is_ours(self._file.read(HEAD_BYTES, 0)):
            raise UsageError(
                f"open the history {self._path}: not a history of container-oomkill: "
                "use another --history, or move this file away"
            )
        self._file.check_replaceable()
        with self._file.reader() as file:
            longest = max(LONGEST_LINE, self._max_bytes)
            content = read_lines(
                file, max_incidents=self._max_incidents, max_line=longest, form=self._form
            )
        self._lines = content.lines
        self._ids = {line.id: number for number, line in enumerate(content.lines, 1)}
        self._next = len(content.lines) + 1
        self._loaded = content.incidents
        known = len(content.lines) - content.later
        self.had_more = content.dropped or known > len(content.incidents)
        if content.broken:
            aside = self._file.copy_aside()
            self._replace(content.lines, dropped=content.dropped)
            log.warn(
                f"the history {self._path} was damaged: recovered {len(content.lines)} "
                f"{self._form.what}, "
                f"the damaged file is now {aside}"
            )
        elif content.torn:
            self._file.truncate(content.end)
            log.warn(f"the history {self._path} was cut off: dropped its last, incomplete incident")
        elif content.end and self._file.read(1, content.end - 1) != b"\n":
            self._file.append(b"\n")
        if content.later:
            log.warn(
                f"the history {self._path} has {content.later} {self._form.what} of a later "
                "version: kept, but not shown"
            )

    def load(self) -> list[Any]:
        """Return what the file had when it was opened, oldest first, no more than are kept.

        Once: they are not held here any longer.
        """
        loaded, self._loaded = self._loaded, []
        return loaded

    def __call__(self, incident: Any) -> None:
        """Write it, and let the oldest go where there are too many."""
        if incident.id in self._ids:
            return
        try:
            line = sealed(self._form.render(incident).encode())
            with self._lock:
                replaced = self._write(incident.id, line, self._form.key(incident))
        except OSError as error:
            self._on_lost()
            self._trouble.warn((error.strerror or str(error)).lower())
            for each in self.followers:
                each.unwritten(incident)
            return
        self._trouble.clear()
        for each in self.followers:
            if replaced:
                each.replaced()
            each.written()

    def _write(self, name: str, text: bytes, container: Key) -> bool:
        """Return whether the file was replaced for it."""
        needed = len(text) + 1
        if needed >= self._max_bytes:
            raise OSError(errno.EFBIG, "incident larger than --history.max-bytes")
        start = self._file.size()
        full = start + needed > self._max_bytes
        if full or len(self._lines) >= 2 * self._max_incidents:
            try:
                self._replace(self._staying(needed), dropped=True, added=(name, text, container))
            except OSError:
                if full:
                    raise
            else:
                return True
        self._file.append(text + b"\n")
        self._lines.append(Line(name, start, len(text), container))
        self._ids[name] = self._next
        self._next += 1
        return False

    def _staying(self, needed: int) -> list[Line]:
        """Choose what stays when room is made for one more, of ``needed`` bytes."""
        lines = choose(self._lines, lambda line: line.container, room=self._max_incidents - 1)
        return choose(
            lines,
            lambda line: line.container,
            room=min(self._max_bytes // 2, self._max_bytes - needed) - 1,
            weigh=lambda line: line.size + 1,
        )

    def _replace(
        self, lines: list[Line], *, dropped: bool, added: tuple[str, bytes, Key] | None = None
    ) -> None:
        """Have these lines alone, with the one that is ``added``, in one step.

        An empty line before them says that older ones were dropped.
        """
        written: list[Line] = []

        def texts() -> Iterator[tuple[str, bytes, Key]]:
            for line in lines:
                text = self._file.read(line.size, line.start)
                if len(text) == line.size and b"\n" not in text:  # else others wrote to the file
                    yield line.id, text, line.container
            if added:
                yield added

        def parts() -> Iterator[bytes]:
            end = int(dropped)
            yield b"\n" * end
            for name, text, container in texts():
                written.append(Line(name, end, len(text), container))
                end += len(text) + 1
                yield text + b"\n"

        self._file.replace(parts())
        self._lines = written
        self._ids = {line.id: self._ids.get(line.id, self._next) for line in written}
        self._next += added is not None

    def after(self, number: int, most: int) -> list[tuple[int, bytes]]:
        """Return the lines behind that number, each with its own; at most that many."""
        with self._lock:
            at = self._place(number)
            return [
                (self._ids[line.id], self._file.read(line.size, line.start))
                for line in self._lines[at : at + most]
            ]

    def count_after(self, number: int) -> int:
        with self._lock:
            return len(self._lines) - self._place(number)

    def last_upto(self, number: int) -> str | None:
        """Return the id of the last incident of that number or a smaller one, if there is one."""
        with self._lock:
            at = self._place(number)
            return self._lines[at - 1].id if at else None

    def number_of(self, name: str) -> int | None:
        """Return the number of the incident of that id."""
        with self._lock:
            return self._ids.get(name)

    def newest_number(self) -> int:
        """Return that of the last incident, or a larger one."""
        with self._lock:
            return self._next - 1

    def _place(self, number: int) -> int:
        """How many lines are not behind that number."""
        return bisect_right(self._lines, number, key=lambda line: self._ids[line.id])

    def close(self) -> None:
        with self._lock:
            self._file.close()
