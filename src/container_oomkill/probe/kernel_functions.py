# SPDX-License-Identifier: Apache-2.0
"""Where some of the kernel's functions are, read from /proc/kallsyms for the BPF side.

The kernel shows addresses to whoever opened the file with CAP_SYSLOG, so it is opened while
privileges last. Reading it costs some 50 ms of CPU, most of it in the kernel, so it is read later,
by a thread, and in pieces: all of it at once is 10 MiB, half of which a thread's heap would keep.
Without addresses, what they would prove stays unknown.
"""

from __future__ import annotations

from ..system.closeable import Closeable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

KALLSYMS = "/proc/kallsyms"
LONGEST = 1 << 12  # bytes; nothing that is looked for is longer
PIECE_BYTES = 1 << 16
LINE_BYTES = 1 << 10  # no line is longer
FOLLOWING_BYTES = 1 << 12  # of the table: the function's end is where the next one starts


class KernelFunctions(Closeable):
    """Open now, `find` later."""

    def __init__(self, path: str = KALLSYMS) -> None:
        try:
            self._file: BufferedReader | None = open(path, "rb")  # noqa: SIM115 - kept open
        except OSError:  # a kernel without it, or hidden
            self._file = None

    def find(self, name: str) -> tuple[int, int] | None:
        """Return the addresses from a function's start to its end; None where nobody says."""
        if self._file is None:
            return None
        wanted = f" t {name}\n".encode()
        symbols, at = b"", -1
        while at < 0 and (piece := self._file.read(PIECE_BYTES)):
            symbols = symbols[-LINE_BYTES:] + piece
            at = symbols.find(wanted)
        start = int(symbols[symbols.rfind(b"\n", 0, at) + 1 : at], 16) if at >= 0 else 0
        if not start:
            return None
        symbols += self._file.read(FOLLOWING_BYTES)
        # Sorted by address within the kernel itself, but for symbols of the same one.
        following = symbols[at : at + FOLLOWING_BYTES].split(b"\n")[1:-1]
        ends = [int(line.split(b" ", 1)[0], 16) for line in following]
        return start, min((end for end in ends if end > start), default=start + LONGEST)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
