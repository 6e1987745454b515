# SPDX-License-Identifier: Apache-2.0
"""Makes the inherited standard streams reliable.

A closed stream becomes /dev/null, so that no other file gets its number. stdout writes all of a
record or fails, even with PYTHONUNBUFFERED, where Python takes a short write for a complete one.
stderr never fails: an unread log must not end the recording.
"""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def prepare() -> None:
    """Replace unreliable streams, before anything is opened or printed."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - for ever
    encoding = sys.stdout.encoding
    # One that is not UTF-8 gets escapes for what it cannot show.
    sys.stdout = open(  # noqa: SIM115 - for ever
        sys.stdout.fileno(), "w", encoding=encoding, errors="backslashreplace", closefd=False
    )
    raw = _Unfailing(sys.stderr.fileno(), "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=sys.stderr.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


class _Unfailing(io.FileIO):
    """Takes everything, also what cannot be written."""

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        try:
            written = super().write(data)
        except OSError:
            return size
        return size if written is None else written  # None: nobody reads, and it does not wait


def abandon_stdout() -> None:
    """Throw away what could not be written: Python must not try again at its end.

    A thread that is still writing has the stream's lock, and at its end Python would wait for that
    for ever: so it gets another stream to flush.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    number = sys.stdout.fileno()
    os.dup2(null, number)
    os.close(null)
    sys.stdout = open(number, "w", closefd=False)  # noqa: SIM115 - for ever
