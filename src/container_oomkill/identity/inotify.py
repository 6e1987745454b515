# SPDX-License-Identifier: Apache-2.0
"""Takes folders, tells when something in one comes, goes or gets another name: inotify(7).

It only says that it is time to look: what there is, the folders say. So an event too many costs
a look, and a lost one is told by the kernel itself (`Inotify.read`).
"""

from __future__ import annotations

import errno
import os  # not pathlib: a probe imports this at its start, while kills may wait
import struct

from ._inotify import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

MASK = (
    lib.IN_CREATE
    | lib.IN_DELETE
    | lib.IN_MOVED_FROM
    | lib.IN_MOVED_TO
    | lib.IN_DELETE_SELF
    | lib.IN_MOVE_SELF
    | lib.IN_ONLYDIR
)
HEADER = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, len; the name follows
READ_BYTES = 65536
MISSING = (errno.ENOENT, errno.ENOTDIR)
EXHAUSTED = (errno.ENOSPC, errno.ENOMEM)
TRIES = 8  # at a folder that is being made


class Inotify:
    """One instance, with the folders it watches; `OSError` where the kernel has none left."""

    def __init__(self) -> None:
        self._fd: int = lib.inotify_init1(lib.IN_CLOEXEC | lib.IN_NONBLOCK)
        if self._fd < 0:
            _fail("make an inotify instance")
        self._watches: set[int] = set()

    def fileno(self) -> int:
        return self._fd

    def watch(self, folders: Iterable[str]) -> None:
        """Watch these folders and no others; of one that is not there, what is above it.

        Those already watched are asked for again: another folder may be in the old one's place.
        """
        wanted = {self._watch(folder) for folder in folders}
        for wd in self._watches - wanted:
            lib.inotify_rm_watch(self._fd, wd)  # fails if the folder is gone, as it may be
        self._watches &= wanted

    def _watch(self, folder: str) -> int | None:
        """Return the watch of ``folder``, or of the nearest above it; None if it may not be had."""
        for _ in range(TRIES):
            missing, path = None, os.path.normpath(folder)
            while (wd := lib.inotify_add_watch(self._fd, os.fsencode(path), MASK)) < 0:
                if ffi.errno in EXHAUSTED:
                    _fail(f"watch {path}")
                if ffi.errno not in MISSING or path in ("/", "."):
                    return None
                missing, path = path, os.path.dirname(path) or "."  # noqa: PTH120 - see above
            self._watches.add(wd)
            if missing is None or not os.path.lexists(missing):
                break  # else it was made meanwhile
        return int(wd)

    def read(self) -> bool:
        """Take what happened off the queue; tell whether the kernel had to drop some of it."""
        dropped = False
        while True:
            try:
                data = os.read(self._fd, READ_BYTES)
            except BlockingIOError:
                return dropped
            at = 0
            while at < len(data):
                wd, mask, _, length = HEADER.unpack_from(data, at)
                at += HEADER.size + length
                if mask & lib.IN_Q_OVERFLOW:
                    dropped = True
                elif mask & lib.IN_IGNORED:  # the folder is gone, and its watch with it
                    self._watches.discard(wd)

    def close(self) -> None:
        """Free the instance; may be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _fail(action: str) -> NoReturn:
    raise OSError(ffi.errno, f"{action}: {os.strerror(ffi.errno).lower()}")
