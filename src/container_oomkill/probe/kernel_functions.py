# SPDX-License-Identifier: Apache-2.0
"""Where the kernel's functions are that we know of, read from /proc/kallsyms.

The kernel shows addresses to whoever opened the file with CAP_SYSLOG, so it is opened while
privileges last. Reading it costs some 60 ms of CPU, so it is read later, by a thread, or as soon
as somebody asks; and piece by piece: all of it at once is 10 MiB, half of which a thread's heap
would keep. Only the ranges of those functions are kept. Without addresses, what they would prove
stays unknown.
"""

from __future__ import annotations

from ..incident.kernel_symbols import ROLES
from ..system import log
from ..system.closeable import Closeable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from io import BufferedReader

KALLSYMS = "/proc/kallsyms"
LOOKED_AT = 1 << 16  # bytes: old tables begin with the per-CPU variables, the first at 0
LONGEST = 1 << 12  # bytes; of a function behind which the table ends
PIECE = 1 << 14  # bytes; most of them have none of those functions
LAST = b"_etext"  # behind it come the kernel's data and the modules


def are_addresses_shown(path: str = KALLSYMS) -> bool:
    """Whether this process sees the kernel's addresses; where not, all of them are 0."""
    try:
        with open(path, "rb") as file:
            start = file.read(LOOKED_AT)
    except OSError:
        return False
    return any(line[:16].strip(b"0") for line in start.splitlines()[:-1])


class KernelFunctions(Closeable):
    """Open now, `read` later."""

    def __init__(
        self,
        path: str = KALLSYMS,
        *,
        wanted: Iterable[str] = ROLES,
        on_read: Callable[[KernelFunctions], None] = lambda _: None,
    ) -> None:
        """``on_read``: called once, with all known."""
        from threading import Lock  # not before attaching

        self._wanted = {name.encode(): name for name in wanted}
        self._on_read = on_read
        self._lock = Lock()
        self._starts: list[int] = []  # sorted; the others by them
        self._ends: list[int] = []
        self._names: list[str] = []
        try:
            self._file: BufferedReader | None = open(path, "rb")  # noqa: SIM115 - kept open
        except OSError:  # a kernel without it, or hidden
            self._file = None

    def read(self) -> None:
        """Read the table, unless that was done, or tried."""
        with self._lock:
            if self._file is None:
                return
            file, self._file = self._file, None
            try:
                with file:
                    found = sorted(_ranges(file, self._wanted))
            except (OSError, MemoryError) as error:  # without it there is a record, too
                words = (getattr(error, "strerror", None) or "no memory").lower()
                log.warn(f"read {file.name}: {words}: what asked for memory may stay unknown")
                found = []
            self._starts = [start for start, _, _ in found]
            self._ends = [end for _, end, _ in found]
            self._names = [name for _, _, name in found]
            self._on_read(self)

    def find(self, name: str) -> tuple[int, int] | None:
        """Return the addresses from a function's start to its end; None where nobody says.

        Of one in parts the longest: the others (``.cold``) are what is hardly ever run.
        """
        ranges = zip(self._starts, self._ends, self._names, strict=True)
        parts = [(start, end) for start, end, of in ranges if of == name]
        return max(parts, key=lambda part: part[1] - part[0], default=None)

    def symbols(self, addresses: Sequence[int]) -> tuple[str, ...] | None:
        """Return the known ones of the functions that ``addresses`` return to; None: none is known.

        A call may be a function's last instruction, and what it returns to the next function's.
        """
        from bisect import bisect_right

        self.read()
        if not self._starts:
            return None
        found: list[str] = []
        for address in addresses:
            at = bisect_right(self._starts, address - 1) - 1
            # Parts of one function, or its own recursion, are one.
            if at >= 0 and address <= self._ends[at] and self._names[at] not in found[-1:]:
                found.append(self._names[at])
        return tuple(found)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def _ranges(file: BufferedReader, wanted: dict[bytes, str]) -> Iterable[tuple[int, int, str]]:
    """Start, end and name. A function ends where the next symbol of another address begins.

    The table is sorted by address within the kernel itself, but for symbols of the same one. The
    compiler names a function's variants with a suffix (``.isra.0``).
    """
    open_: list[tuple[int, str]] = []
    for line in _lines_near(file, {LAST, *wanted}):
        if open_:
            address = int(line[:16], 16)
            if address > open_[0][0]:
                yield from ((start, address, name) for start, name in open_)
                open_ = []
        name = line[19:-1]
        if name not in wanted:
            if name == LAST:
                return
            if b"." not in name:
                continue
            name = name.split(b".", 1)[0]
            if name not in wanted:
                continue
        start = int(line[:16], 16)
        if start and line[17:18] in b"tTwW":
            open_.append((start, wanted[name]))
    yield from ((start, start + LONGEST, name) for start, name in open_)


def _lines_near(file: BufferedReader, names: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of the pieces that have one of the names, and of the piece behind each.

    Looking at every line takes Python as long as reading the table takes the kernel.
    """
    sought, was_near = frozenset(names), False
    while piece := file.read(PIECE) + file.readline():
        is_near = not sought.isdisjoint(piece.replace(b".", b" ").split())
        if is_near or was_near:
            yield from piece.splitlines(keepends=True)
        was_near = is_near
