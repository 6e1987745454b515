# SPDX-License-Identifier: Apache-2.0
"""Takes incidents, gives them again after a restart: an SQLite file, bounded, safe against crashes.

One transaction an incident, on the disk when the call returns (write-ahead log, synchronous=FULL):
SIGKILL costs nothing that was taken, a power cut at any byte no more than the incident being
written. Only one process can have the file (locking_mode=EXCLUSIVE, which also spares the shared
memory file beside it). SQLite is imported with this module, where a history is asked for.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from ..errors import Error, RecordError, UsageError
from ..incident.model import Incident
from ..sinks.json_lines import render
from ..sinks.record import from_object
from ..system import log
from .repair import Content, DamagedError, classify, rescue

APPLICATION_ID = 0x636F6F6D  # "coom", in the file's header
VERSION = 1  # of the tables
PAGE_BYTES = 4096
PAGES_SPARE = 8  # of the header, the table's and the index's roots, and what a row may split
CACHE_KIB = 128
CHECKPOINT_PAGES = 64  # of the log, before it is written into the file and used anew

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
DISK_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)

TABLES = """
CREATE TABLE incident (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, record BLOB NOT NULL)
"""


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
        """Open or make the file; a damaged one is moved aside, what can be read of it kept.

        ``on_lost`` is called for every incident that could not be written. Raises `UsageError` for
        a file that is another program's, in use, or cannot be opened; `Error` where the disk is
        full or fails, which is no reason not to watch.
        """
        self._path = Path(path)
        self._max_incidents = max_incidents
        self._max_pages = max_bytes // PAGE_BYTES
        self._on_lost = on_lost
        self._failing = False
        self.had_more = False  # than `load` gave: the oldest are gone
        try:
            self._database = self._open()
        except OSError as error:
            kind = Error if error.errno in DISK_ERRORS else UsageError
            words = error.strerror or ""
            if error.errno == errno.EACCES:
                words += f": give the folder to user {os.geteuid()}: rights to others' are dropped"
            raise kind(f"open the history {path}: {words}") from error
        except sqlite3.Error as error:
            kind = Error if _code(error) in DISK_CODES else UsageError
            raise kind(f"open the history {path}: {_words(error)}") from error

    def _open(self) -> sqlite3.Connection:
        if not self._path.absolute().parent.is_dir():
            raise UsageError(f"open the history {self._path}: its folder does not exist")
        content = classify(self._path, APPLICATION_ID)
        if content is Content.FOREIGN:
            raise UsageError(
                f"open the history {self._path}: is not one of container-oomkill: "
                "give another --history, or move it away"
            )
        if content is not Content.DAMAGED:
            try:
                return connect(self._path, new=content is Content.NOTHING)
            except DamagedError:
                pass
        rescued = rescue(self._path)
        database = connect(self._path, new=True)
        with database:
            database.execute("BEGIN")
            database.executemany(
                "INSERT OR IGNORE INTO incident (id, record) VALUES (?, ?)", rescued.rows
            )
        log.warn(
            f"the history {self._path} was damaged: it is {rescued.moved_to} now, and "
            f"{len(rescued.rows)} incidents of it were kept"
        )
        return database

    def load(self) -> list[Incident]:
        """Return what the file has, oldest first, no more than are kept."""
        newest_first = "SELECT number, record FROM incident ORDER BY number DESC LIMIT ?"
        found: list[Incident] = []
        broken = 0
        try:
            for number, record in self._database.execute(newest_first, (self._max_incidents,)):
                self.had_more = number > 1  # the first there was has 1
                try:
                    found.append(from_object(json.loads(record)))
                except (RecordError, ValueError, RecursionError):
                    broken += 1  # and left there: a later version may have written it
        except sqlite3.Error as error:
            log.warn(f"read the history {self._path}: {_words(error)}")
        if broken:
            log.warn(f"the history {self._path} has {broken} incidents that cannot be read here")
        return found[::-1]

    def __call__(self, incident: Incident) -> None:
        """Write it, and let the oldest go where there are too many."""
        try:
            self._write(incident.id, render(incident).encode())
        except sqlite3.Error as error:
            self._on_lost()
            if not self._failing:
                self._failing = True
                log.warn(f"write the history {self._path}: {_words(error)}")
        else:
            self._failing = False

    def _write(self, name: str, record: bytes) -> None:
        needed = len(record) // (PAGE_BYTES - 4) + PAGES_SPARE
        if needed > self._max_pages:
            raise sqlite3.DataError("an incident larger than --history.max-bytes")
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            while self._pages() + needed > self._max_pages and self._drop_oldest():
                pass
            added = database.execute(
                "INSERT OR IGNORE INTO incident (id, record) VALUES (?, ?)", (name, record)
            )
            if added.rowcount:
                database.execute(
                    "DELETE FROM incident WHERE number <= ?",
                    ((added.lastrowid or 0) - self._max_incidents,),
                )

    def _pages(self) -> int:
        """How many pages of the file are in use."""
        (count,) = self._database.execute("PRAGMA page_count").fetchone()
        (free,) = self._database.execute("PRAGMA freelist_count").fetchone()
        return int(count) - int(free)

    def _drop_oldest(self) -> bool:
        oldest = "DELETE FROM incident WHERE number = (SELECT min(number) FROM incident)"
        return self._database.execute(oldest).rowcount > 0

    def close(self) -> None:
        """Write the log into the file."""
        try:
            self._database.close()
        except sqlite3.Error as error:
            log.warn(f"close the history {self._path}: {_words(error)}")


def connect(path: Path, *, new: bool) -> sqlite3.Connection:
    """Return the file, checked, with its settings; `DamagedError` where SQLite finds it so."""
    if new:  # commands may tell secrets: for its owner only, and SQLite's logs follow
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    # Another thread writes than the one that opens, never both at once.
    database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        for setting in _settings(new):
            database.execute(setting)
        if new:
            with database:
                database.execute("BEGIN EXCLUSIVE")
                database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {VERSION}")
                database.execute(TABLES)
        _check_version(database, path)
        database.execute("PRAGMA journal_mode = WAL")
        _check_content(database)
    except sqlite3.DatabaseError as error:
        database.close()
        if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DamagedError from error
        raise
    except BaseException:
        database.close()
        raise
    return database


def _settings(new: bool) -> Iterator[str]:
    if new:
        yield f"PRAGMA page_size = {PAGE_BYTES}"
    yield "PRAGMA locking_mode = EXCLUSIVE"
    yield "PRAGMA synchronous = FULL"
    yield f"PRAGMA cache_size = -{CACHE_KIB}"
    yield f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"
    yield f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * PAGE_BYTES}"


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise UsageError(
            f"open the history {path}: a later version of container-oomkill wrote it: "
            "give another --history"
        )


def _check_content(database: sqlite3.Connection) -> None:
    with closing(database.execute("PRAGMA quick_check(1)")) as checked:
        if checked.fetchone() != ("ok",):
            raise DamagedError
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'incident'").fetchone():
        raise DamagedError
    # Of a file cut within its last page SQLite reads zeros, and does not mind.
    if database.execute("SELECT 1 FROM incident WHERE substr(record, -1) <> x'7d'").fetchone():
        raise DamagedError


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; None where Python itself raised it."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _words(error: sqlite3.Error) -> str:
    if _code(error) == sqlite3.SQLITE_BUSY:
        return "another process has it"
    return str(error)
