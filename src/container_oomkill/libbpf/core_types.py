# SPDX-License-Identifier: Apache-2.0
"""Gives libbpf only those kernel types that an object refers to, instead of all 150,000.

libbpf searches all of a kernel's types once for each type of the object, and spends three quarters
of the time to attach on it: see core_types.c. It reads the types from a file when it loads the
object, so we put the few into a file that exists in memory only.
"""

from __future__ import annotations

import mmap
import os

from ..system.closeable import Closeable
from ._libbpf import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KERNEL_TYPES = "/sys/kernel/btf/vmlinux"


class CoreTypes(Closeable):
    """A kernel's types; `source` is the file they are in, `path` the one for libbpf.

    ``btf``: by default the running kernel's own. Where they cannot be read, libbpf is to try it by
    itself: its words for that are better.
    """

    def __init__(self, btf: str | None) -> None:
        self.source = btf or KERNEL_TYPES
        self.path = btf
        self._file = -1
        self._filled = False
        self._data: bytes | mmap.mmap = b""
        try:
            self._data = _contents(self.source)
            file = os.memfd_create("core-types")
        except OSError:
            return
        if _is_there(file):
            self._file, self.path = file, _path(file)
        else:
            os.close(file)

    def fill(self, obj: Any) -> None:
        """Write the types there that an opened object names; where that fails, all of them.

        To be called before that object is loaded. Once is enough: every hook opens the same one.
        """
        if self._file < 0 or self._filled:
            return
        own = lib.bpf_object__btf(obj)
        few = None if own == ffi.NULL else named(self._data, own)
        _write(self._file, few or self._data)
        self._filled = True

    def has_member(self, struct: str, member: str) -> bool:
        """Whether a struct of these types has it."""
        data = ffi.from_buffer(self._data)
        found = lib.oomkill_has_member(data, len(self._data), struct.encode(), member.encode())
        return bool(found)

    def takes_fentry(self, function: str) -> bool | None:
        """Whether the kernel takes a program for a function's entry; None: these do not tell."""
        data = ffi.from_buffer(self._data)
        takes: int = lib.oomkill_takes_fentry(data, len(self._data), function.encode())
        return None if takes < 0 else bool(takes)

    def close(self) -> None:
        self._data = b""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _contents(path: str) -> bytes | mmap.mmap:
    """A file, mapped where it can be: the kernel's own types since 6.16, else 1,300 reads."""
    with open(path, "rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
        except (OSError, ValueError):  # ValueError: empty
            return file.read()


def named(kernel: bytes | mmap.mmap, own: Any) -> bytes | None:
    """Return those of a kernel's types that have a name among an object's, as BTF of their own.

    With them comes what lies in them by value. None: these types cannot be read.
    """
    subset, size = ffi.new("void **"), ffi.new("uint32_t *")
    if lib.oomkill_core_types(ffi.from_buffer(kernel), len(kernel), own, subset, size):
        return None
    try:
        return bytes(ffi.buffer(subset[0], size[0]))
    finally:
        lib.oomkill_heap_free(subset[0])


def _is_there(file: int) -> bool:
    """Whether this very file has the name that it should: by /proc alone, and by ours."""
    try:
        found = os.stat(_path(file))
    except OSError:
        return False
    return os.path.samestat(found, os.fstat(file))


def _path(file: int) -> str:
    return f"/proc/self/fd/{file}"


def _write(file: int, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
