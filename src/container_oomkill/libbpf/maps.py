# SPDX-License-Identifier: Apache-2.0
"""Maps a BPF map into memory, by its descriptor or by its name on a bpf file system.

A process can read and write mapped memory after it has lost the privilege to call bpf().
"""

from __future__ import annotations

import mmap
import os

from ..system.closeable import Closeable
from ._libbpf import ffi, lib
from .status import check


class PinnedMaps(Closeable):
    """Maps by their names in a folder of a bpf file system."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._open: dict[str, int] = {}

    def map_fd(self, name: str) -> int:
        """Return the file descriptor of a map, which is closed with this."""
        if name not in self._open:
            self._open[name] = open_pinned(f"{self._folder}/{name}")
        return self._open[name]

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])


class Shared(Closeable):
    """The one element of an array made with BPF_F_MMAPABLE, as memory of this process."""

    def __init__(self, map_fd: int, size: int) -> None:
        """``size``: of the element, bytes. The map stays for as long as this is open."""
        self.size = size
        self.memory = mmap.mmap(map_fd, size)

    def read(self) -> bytes:
        return self.memory[: self.size]

    def close(self) -> None:
        self.memory.close()


def map_entries(map_fd: int) -> int:
    """Return how many entries a map can have; of a ring buffer, its bytes."""
    info = ffi.new("struct bpf_map_info *")
    size = ffi.new("uint32_t *", ffi.sizeof("struct bpf_map_info"))
    check(lib.bpf_obj_get_info_by_fd(map_fd, info, size), "ask for the size of a map")
    return int(info.max_entries)


def map_memory(map_fd: int) -> int | None:
    """Return how many bytes of kernel memory a map takes, by the kernel; None: it does not say."""
    try:
        with open(f"/proc/self/fdinfo/{map_fd}", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return int(fields["memlock"])
    except (OSError, ValueError, KeyError):
        return None


def make_shared(name: str, size: int) -> int:
    """Return the descriptor of a new array with one element that can be mapped."""
    options = ffi.new("struct bpf_map_create_opts *")
    options.sz = ffi.sizeof("struct bpf_map_create_opts")
    options.map_flags = lib.BPF_F_MMAPABLE
    made = lib.bpf_map_create(lib.BPF_MAP_TYPE_ARRAY, name.encode(), 4, size, 1, options)
    return check(made, f"make map {name}")


def pin(fd: int, path: str) -> None:
    """Give a map a name on a bpf file system, under which it stays."""
    check(lib.bpf_obj_pin(fd, path.encode()), f"pin {path}")


def open_pinned(path: str) -> int:
    """Return a descriptor of what was pinned there; it is the caller's."""
    return check(lib.bpf_obj_get(path.encode()), f"open {path}")
