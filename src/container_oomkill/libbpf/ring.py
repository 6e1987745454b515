# SPDX-License-Identifier: Apache-2.0
"""Reads the records of a ring buffer map, oldest first.

A record stays in the ring until `Ring.release`: if the process dies before then, nothing is lost.
"""

from __future__ import annotations

import select

from ..system.closeable import Closeable
from ._libbpf import ffi, lib
from .maps import map_entries
from .status import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Ring(Closeable):
    """Reader of a BPF ring buffer; one at a time, in one thread."""

    def __init__(self, map_fd: int) -> None:
        """``map_fd`` stays the caller's."""
        self.size = map_entries(map_fd)  # bytes
        self._ring = ffi.new("struct oomkill_ring *")
        check(lib.oomkill_ring_open(self._ring, map_fd, self.size), "map the ring buffer")
        self._next = ffi.new("unsigned long *", lib.oomkill_ring_start(self._ring))
        self._record = ffi.new("const void **")
        self._size = ffi.new("uint32_t *")
        # Edge-triggered: records that are kept back must not wake the reader again and again.
        self._epoll = select.epoll()
        self._epoll.register(map_fd, select.EPOLLIN | select.EPOLLET)

    def wait(self, seconds: float | None) -> None:
        """Sleep until the kernel has written a record since the last call, at most that long."""
        self._epoll.poll(seconds)

    def fileno(self) -> int:
        """Return what is readable while a record has come since the last `wait`."""
        return self._epoll.fileno()

    def watch(self, fd: int, *, readable: bool) -> None:
        """End `wait` as well when another descriptor is hung up or, if asked for, readable."""
        self._epoll.register(fd, select.EPOLLIN if readable else 0)

    def read(self) -> Iterator[tuple[bytes, int]]:
        """Yield each record not yielded before, and the position to release it by."""
        while lib.oomkill_ring_next(self._ring, self._next, self._record, self._size):
            yield bytes(ffi.buffer(self._record[0], self._size[0])), self._next[0]

    def release(self, position: int) -> None:
        """Give every record up to this position back to the kernel."""
        lib.oomkill_ring_release(self._ring, position)

    def rewind(self) -> None:
        """Read once more what was read and not released."""
        self._next[0] = lib.oomkill_ring_start(self._ring)

    def kept(self) -> int:
        """Return how many bytes were read and not released."""
        return int(self._next[0] - lib.oomkill_ring_start(self._ring))

    def unread(self) -> int:
        """Return how many bytes wait, read or not."""
        return int(lib.oomkill_ring_end(self._ring) - lib.oomkill_ring_start(self._ring))

    def close(self) -> None:
        self._epoll.close()
        lib.oomkill_ring_close(self._ring)
