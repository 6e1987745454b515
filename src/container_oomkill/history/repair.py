# SPDX-License-Identifier: Apache-2.0
"""Takes a history file that SQLite will not have, gives what can be read of it; deletes nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# https://www.sqlite.org/fileformat.html
MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
APPLICATION_ID_AT = slice(68, 72)
LOGS = ("-wal", "-journal")

Row = tuple[str, bytes]  # id, record


class DamagedError(Exception):
    """SQLite says that the file is malformed."""


class Content(Enum):
    """What a file is, by its first bytes."""

    NOTHING = "nothing"
    HISTORY = "history"
    DAMAGED = "damaged"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Rescued:
    """What was read, oldest first, and where the file is now."""

    rows: list[Row]
    moved_to: Path


def classify(path: Path, application_id: int) -> Content:
    """Look without touching; an OSError is the caller's."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except FileNotFoundError:
        head = b""
    if not head:
        # SQLite throws a log away that has no file.
        logs = (path.with_name(path.name + name) for name in LOGS)
        left = any(log.exists() and log.stat().st_size for log in logs)
        return Content.DAMAGED if left else Content.NOTHING
    if len(head) == HEADER_BYTES and head.startswith(MAGIC):
        ours = head[APPLICATION_ID_AT] == application_id.to_bytes(4, "big")
        return Content.HISTORY if ours else Content.FOREIGN
    # Cut within the header, or never written by the disk: no one's data is in there.
    cut = len(head) < HEADER_BYTES and head.startswith(MAGIC[: len(head)])
    return Content.DAMAGED if cut or not any(head) else Content.FOREIGN


def rescue(path: Path) -> Rescued:
    """Move the file and its logs aside, and read what can be read, from a copy."""
    aside = _free_name(path)
    copy = aside.with_name(aside.name + ".copy")
    files = [name for name in ("", *LOGS) if path.with_name(path.name + name).exists()]
    try:
        for name in files:
            shutil.copyfile(path.with_name(path.name + name), copy.with_name(copy.name + name))
        rows = _read(copy)
    finally:
        for name in ("", *LOGS):
            copy.with_name(copy.name + name).unlink(missing_ok=True)
    for name in files:
        path.with_name(path.name + name).rename(aside.with_name(aside.name + name))
    return Rescued(rows, aside)


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.broken-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.broken-{stamp}-{number}")
    return aside


def _read(path: Path) -> list[Row]:
    """From both ends until something is in the way."""
    found: dict[int, Row] = {}
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            # Without it a file shorter than its header says is not read at all.
            database.execute("PRAGMA writable_schema = ON")
            for order in ("ASC", "DESC"):
                _read_rows(database, order, found)
    except sqlite3.Error:
        pass  # then there is nothing to be had
    return [found[number] for number in sorted(found)]


def _read_rows(database: sqlite3.Connection, order: str, found: dict[int, Row]) -> None:
    query = f"SELECT number, id, record FROM incident ORDER BY number {order}"  # noqa: S608 - ours
    try:
        for number, name, record in database.execute(query):
            if isinstance(name, str) and isinstance(record, bytes) and _is_whole(record):
                found[number] = name, record
    except sqlite3.DatabaseError:
        pass  # as far as it goes


def _is_whole(record: bytes) -> bool:
    """What lay beyond the cut is read as zeros."""
    try:
        json.loads(record)
    except (ValueError, RecursionError):
        return False
    return True
