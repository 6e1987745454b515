# SPDX-License-Identifier: Apache-2.0
"""Opens a BPF object, loads it, and attaches its programs."""

from __future__ import annotations

import os

from ..system.closeable import Closeable
from ._libbpf import ffi, lib
from .status import check, check_pointer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .core_types import CoreTypes

# Linux 6.1 and before set aside that many free entries of an LRU map for each CPU that adds one. A
# CPU that finds none left gives each new entry the place of the one that it added last (findings/).
# So each map has as many more; for 64 CPUs they take 6 MiB, and that is the most.
SPARE_PER_CPU = 128
MOST_SPARE_CPUS = 64


class Link(Closeable):
    """One program attached to its hook; closing detaches it, unless it is pinned."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self._pinned = False

    def pin(self, path: str) -> None:
        """Keep it attached under a name on a bpf file system, also once it is closed."""
        check(lib.bpf_link__pin(self._link, path.encode()), f"pin {path}")
        self._pinned = True

    def close(self) -> None:
        if self._link is None:
            return
        if self._pinned:
            # Or libbpf would switch off the perf event below a kprobe, pinned or not.
            lib.bpf_link__disconnect(self._link)
            os.close(lib.bpf_link__fd(self._link))
        lib.bpf_link__destroy(self._link)
        self._link = None


class LoadedObject(Closeable):
    """An object the kernel has verified; its maps exist."""

    def __init__(self, obj: Any) -> None:
        self._obj = obj
        self._maps: dict[str, int] = {}  # descriptors of our own, once libbpf's are closed
        self._programs: list[int] = []

    def attach(self, program: str) -> Link:
        """Attach a program to the hook that its section names; `BpfError` if refused."""
        action = f"attach {program}"
        found = check_pointer(_program(self._obj, program), action)
        return Link(check_pointer(lib.bpf_program__attach(found), action))

    def run(self, program: str) -> int:
        """Run a program of the kind that is only run by hand, once; return what it returns."""
        action = f"run {program}"
        options = ffi.new("struct bpf_test_run_opts *")
        options.sz = ffi.sizeof("struct bpf_test_run_opts")
        found = lib.bpf_program__fd(check_pointer(_program(self._obj, program), action))
        check(lib.bpf_prog_test_run_opts(check(found, action), options), action)
        return int(ffi.cast("int32_t", options.retval))

    def map_fd(self, name: str) -> int:
        """Return the file descriptor of a map; it is the object's, not the caller's."""
        if name in self._maps:
            return self._maps[name]
        return check(lib.bpf_map__fd(_map(self._obj, name)), f"open map {name}")

    def free_parsed(self) -> None:
        """Free what libbpf has of it, 0.3 MiB, once everything is attached.

        The maps stay, and the programs, of which the kernel tells by their descriptors what each
        costs.
        """
        for name, found in _maps(self._obj):
            if (fd := lib.bpf_map__fd(found)) >= 0:
                self._maps[name] = os.dup(fd)
        for _, program in _programs(self._obj):
            if (fd := lib.bpf_program__fd(program)) >= 0:
                self._programs.append(os.dup(fd))
        lib.bpf_object__close(self._obj)
        self._obj = None
        lib.oomkill_heap_trim()

    def write_new(self, name: str, key: bytes, value: bytes) -> bool:
        """Enter an element unless the key is there already; False then, or if the map is full."""
        flag = lib.BPF_NOEXIST
        buffers = ffi.from_buffer(key), ffi.from_buffer(value)
        return bool(lib.bpf_map_update_elem(self.map_fd(name), *buffers, flag) == 0)

    def close(self) -> None:
        if self._obj is not None:
            lib.bpf_object__close(self._obj)
            self._obj = None
        while self._programs:
            os.close(self._programs.pop())
        while self._maps:
            os.close(self._maps.popitem()[1])


class OpenObject(Closeable):
    """An object libbpf has parsed and the kernel has not seen: the time for settings."""

    def __init__(self, obj: Any, types: CoreTypes) -> None:
        self._obj = obj
        self._types = types

    def choose(self, programs: Iterable[str]) -> None:
        """Load these programs only; the others stay out of the kernel."""
        wanted = set(programs)
        for name, program in _programs(self._obj):
            check(lib.bpf_program__set_autoload(program, name in wanted), f"choose {name}")
            wanted.discard(name)
        if wanted:
            raise LookupError(f"no program {', '.join(sorted(wanted))} in the object")

    def configure(self, constants: bytes) -> None:
        """Set the object's constants (``.rodata``), as many bytes as it has."""
        found = _map(self._obj, ".rodata")
        data = ffi.from_buffer(constants)
        check(lib.bpf_map__set_initial_value(found, data, len(constants)), "set the constants")

    def resize(self, name: str, entries: int) -> None:
        """Give a map another number of entries; a ring buffer, another number of bytes."""
        check(lib.bpf_map__set_max_entries(_map(self._obj, name), entries), f"resize map {name}")

    def keep_maps(self, names: Iterable[str]) -> None:
        """Make these maps only, and the object's own for its constants."""
        wanted = set(names)
        for name, found in _maps(self._obj):
            if name not in wanted and not lib.bpf_map__is_internal(found):
                check(lib.bpf_map__set_autocreate(found, False), f"leave out map {name}")

    def leave_out_maps(self, names: Iterable[str]) -> None:
        """Do not make these maps: no chosen program uses them."""
        for name in names:
            left_out = lib.bpf_map__set_autocreate(_map(self._obj, name), False)
            check(left_out, f"leave out map {name}")

    def share_map(self, name: str, map_fd: int) -> None:
        """Use a map that is there already; ``map_fd`` stays the caller's."""
        check(lib.bpf_map__reuse_fd(_map(self._obj, name), map_fd), f"share map {name}")

    def _add_spare_entries(self) -> None:
        """Have every LRU map keep as many entries as it is to; one of a single entry is unused."""
        spare = SPARE_PER_CPU * min(os.cpu_count() or 1, MOST_SPARE_CPUS)
        for name, found in _maps(self._obj):
            entries = lib.bpf_map__max_entries(found)
            is_shared = lib.bpf_map__fd(found) >= 0
            if lib.bpf_map__type(found) != lib.BPF_MAP_TYPE_LRU_HASH or entries == 1 or is_shared:
                continue
            check(lib.bpf_map__set_max_entries(found, entries + spare), f"resize map {name}")

    def load(self) -> LoadedObject:
        """Hand the object to the kernel; `BpfError` with the verifier's log if refused."""
        self._add_spare_entries()
        self._types.fill(self._obj)
        check(lib.bpf_object__load(self._obj), "load the BPF object")
        lib.oomkill_heap_trim()
        loaded = LoadedObject(self._obj)
        self._obj = None  # it is the loaded object's now
        return loaded

    def close(self) -> None:
        if self._obj is not None:
            lib.bpf_object__close(self._obj)
            self._obj = None


def open_object(data: bytes | bytearray, name: str, types: CoreTypes) -> OpenObject:
    """Parse an object; ``types``: those of the kernel it is for, open until it is loaded.

    libbpf copies what it needs of ``data``: nothing reads it once this returns.
    """
    options = ffi.new("struct bpf_object_open_opts *")
    options.sz = ffi.sizeof("struct bpf_object_open_opts")
    object_name = ffi.new("char[]", name.encode())
    options.object_name = object_name
    if types.path is not None:
        btf_path = ffi.new("char[]", types.path.encode())
        options.btf_custom_path = btf_path
    obj = lib.bpf_object__open_mem(ffi.from_buffer(data), len(data), options)
    return OpenObject(check_pointer(obj, "open the BPF object"), types)


def _maps(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield every map with its name."""
    found = lib.bpf_object__next_map(obj, ffi.NULL)
    while found != ffi.NULL:
        yield ffi.string(lib.bpf_map__name(found)).decode(), found
        found = lib.bpf_object__next_map(obj, found)


def _programs(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield every program with its name."""
    found = lib.bpf_object__next_program(obj, ffi.NULL)
    while found != ffi.NULL:
        yield ffi.string(lib.bpf_program__name(found)).decode(), found
        found = lib.bpf_object__next_program(obj, found)


def _program(obj: Any, name: str) -> Any:
    return lib.bpf_object__find_program_by_name(obj, name.encode())


def _map(obj: Any, name: str) -> Any:
    found = lib.bpf_object__find_map_by_name(obj, name.encode())
    return check_pointer(found, f"find map {name}")
