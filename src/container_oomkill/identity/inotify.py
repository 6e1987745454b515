# SPDX-License-Identifier: Apache-2.0
"""Takes folders, tells when something in one comes, goes or gets another name: inotify(7).

It only says that it is time to look: what there is, the folders say. So an event too many costs
a look, and a lost one is told by the kernel itself (`Inotify.read`).
"""

from __future__ import annotations

import os
import struct
from pathlib import PurePosixPath

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


class Inotify:
    """One instance, with the folders it watches; `OSError` where the kernel has none left."""

    def __init__(self) -> None:
        self._fd: int = lib.inotify_init1(lib.IN_CLOEXEC | lib.IN_NONBLOCK)
        if self._fd < 0:
            _fail("inotify_init1", None)
        self._watches: set[int] = set()

    def fileno(self) -> int:
        return self._fd

    def watch(self, folders: Iterable[str]) -> None:
        """Watch these folders and no others; of one that is not there, what there is above it.

        Those already watched are asked for again: another folder may be in the old one's place.
        """
        wanted = {wd for folder in folders for wd in self._watch(folder)}
        for wd in self._watches - wanted:
            lib.inotify_rm_watch(self._fd, wd)  # fails if the folder is gone, as it may be
        self._watches = wanted

    def _watch(self, folder: str) -> list[int]:
        """Return the watch of ``folder``, or of what is above it.

        From above downwards: whatever is made meanwhile is seen by the watch above it.
        """
        watches: list[int] = []
        path = PurePosixPath(folder)
        for above in (*reversed(path.parents), path):
            wd = lib.inotify_add_watch(self._fd, os.fsencode(above), MASK)
            if wd >= 0:
                watches.append(wd)
            elif ffi.errno in MISSING:
                return watches[-1:]
            else:
                _fail("inotify_add_watch", str(above))
        return watches[-1:]

    def read(self) -> tuple[bool, bool]:
        """Return whether anything happened, and whether the kernel had to drop events."""
        happened = dropped = False
        while True:
            try:
                data = os.read(self._fd, READ_BYTES)
            except BlockingIOError:
                return happened, dropped
            at = 0
            while at < len(data):
                wd, mask, _, length = HEADER.unpack_from(data, at)
                at += HEADER.size + length
                dropped = dropped or bool(mask & lib.IN_Q_OVERFLOW)
                if mask & lib.IN_IGNORED:  # also what taking a watch away causes
                    happened = happened or wd in self._watches
                    self._watches.discard(wd)
                else:
                    happened = True

    def close(self) -> None:
        """Free the instance; may be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
