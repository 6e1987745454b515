# SPDX-License-Identifier: Apache-2.0
"""A file that only one process may open, appended to and replaced so that no crash can cut it off.

An append is on the disk when it returns, or has left nothing behind. A replacement is written
beside the file and then renamed over it: whenever the process is killed, one of the two is there,
complete. Each operation raises `OSError` on failure and leaves the file as it was.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
MODE = 0o600  # commands may tell secrets


class LockedFile:
    """Opened and locked, made where there is none; `close` lets others have it."""

    def __init__(self, path: str) -> None:
        self._path = Path(os.path.realpath(path))  # a link to it stays one
        self._second = self._path.with_name(self._path.name + ".rewriting")
        self._fd = self._open()

    def _open(self) -> int:
        while True:
            fd = os.open(self._path, FLAGS, MODE)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise OSError(errno.EINVAL, "not a regular file")
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(fd), self._path.stat()):
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise OSError(errno.EBUSY, "in use by another process") from None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # its owner has replaced it since it was opened here

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def read(self, size: int, start: int) -> bytes:
        """Return as much of it as there is."""
        return os.pread(self._fd, size, start)

    @contextmanager
    def reader(self) -> Iterator[BinaryIO]:
        """Give it from its beginning."""
        with open(self._fd, "rb", closefd=False) as file:
            file.seek(0)
            yield file

    def append(self, data: bytes) -> None:
        end = self.size()
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._fd, left) :]
            os.fdatasync(self._fd)
        except OSError:
            with suppress(OSError):
                self.truncate(end)
            raise

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def check_replaceable(self) -> None:
        """Find out now whether `replace` may make files in this folder."""
        os.close(self._make_second())
        self._second.unlink()
        self._sync_folder()

    def replace(self, parts: Iterable[bytes]) -> None:
        """Have these bytes in its place. ``parts`` may read it meanwhile."""
        second = self._make_second()
        try:
            with open(second, "wb", closefd=False) as file:
                file.writelines(parts)
            os.fsync(second)
            self._second.rename(self._path)
        except BaseException:
            os.close(second)
            self._second.unlink(missing_ok=True)
            raise
        os.close(self._fd)
        self._fd = second
        with suppress(OSError):  # else a power cut may bring the former one back, whole as well
            self._sync_folder()

    def _make_second(self) -> int:
        """Lock it before it has the name by which others find it."""
        self._second.unlink(missing_ok=True)  # left by a crash: the lock of the first is ours
        second = os.open(self._second, FLAGS | os.O_EXCL, MODE)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return second

    def copy_aside(self) -> Path:
        """Copy it to NAME.broken-TIME; return that path."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = self._path.with_name(f"{self._path.name}.broken-{stamp}")
        number = 1
        while os.path.lexists(aside):
            number += 1
            aside = self._path.with_name(f"{self._path.name}.broken-{stamp}-{number}")
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        try:
            with os.fdopen(fd, "wb") as copy, self.reader() as file:
                shutil.copyfileobj(file, copy)
                copy.flush()
                os.fsync(fd)
        except OSError:
            aside.unlink()
            raise
        return aside

    def _sync_folder(self) -> None:
        """A new name is on the disk from here on."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        os.close(self._fd)
