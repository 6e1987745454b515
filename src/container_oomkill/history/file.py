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
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import Error, UsageError
from ..incident.model import Incident
from ..sinks.json_lines import render
from ..sinks.names import Key, container_key
from ..system import log
from .fair import choose
from .lines import Line, is_ours, read_lines, sealed
from .locked_file import LockedFile

HEAD_BYTES = 1 << 16  # that tell our file from another program's
LONGEST_LINE = 16 << 20  # or --history.max-bytes, where that is more
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class HistoryFile:
    """A sink; `load` first, then call it, from one thread at a time."""

    def __init__(
        self,
        path: str,
        *,
        max_incidents: int,
        max_bytes: int,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Open or make the file; a damaged one is put aside, what can be read of it kept.

        ``on_lost`` is called for every incident that could not be written. Raises `UsageError` for
        a file that is another program's, in use, or cannot be opened; `Error` where the disk is
        full or fails, which is no reason not to watch.
        """
        self._path = path
        self._max_incidents = max_incidents
        self._max_bytes = max_bytes
        self._on_lost = on_lost
        self._trouble = log.Once(f"write the history {path}")
        self._lines: list[Line] = []  # of the file
        self._ids: set[str] = set()  # of these
        self._loaded: list[Incident] = []
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
            content = read_lines(file, max_incidents=self._max_incidents, max_line=longest)
        self._lines = content.lines
        self._ids = {line.id for line in content.lines}
        self._loaded = content.incidents
        known = len(content.lines) - content.later
        self.had_more = content.dropped or known > len(content.incidents)
        if content.broken:
            aside = self._file.copy_aside()
            self._replace(content.lines, dropped=content.dropped)
            log.warn(
                f"the history {self._path} was damaged: recovered {len(content.lines)} incidents, "
                f"the damaged file is now {aside}"
            )
        elif content.torn:
            self._file.truncate(content.end)
            log.warn(f"the history {self._path} was cut off: dropped its last, incomplete incident")
        elif content.end and self._file.read(1, content.end - 1) != b"\n":
            self._file.append(b"\n")
        if content.later:
            log.warn(
                f"the history {self._path} has {content.later} incidents of a later version: kept, "
                "but not shown"
            )

    def load(self) -> list[Incident]:
        """Return what the file had when it was opened, oldest first, no more than are kept.

        Once: they are not held here any longer.
        """
        loaded, self._loaded = self._loaded, []
        return loaded

    def __call__(self, incident: Incident) -> None:
        """Write it, and let the oldest go where there are too many."""
        try:
            if incident.id not in self._ids:
                line = sealed(render(incident).encode())
                self._write(incident.id, line, container_key(incident))
        except OSError as error:
            self._on_lost()
            self._trouble.warn((error.strerror or str(error)).lower())
        else:
            self._trouble.clear()

    def _write(self, name: str, text: bytes, container: Key) -> None:
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
                return
        self._file.append(text + b"\n")
        self._lines.append(Line(name, start, len(text), container))
        self._ids.add(name)

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
        self._ids = {line.id for line in written}

    def close(self) -> None:
        self._file.close()
