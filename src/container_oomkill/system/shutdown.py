# SPDX-License-Identifier: Apache-2.0
"""Turns Ctrl-C, SIGTERM and a closed output pipe into one flag that wakes the pipeline."""

from __future__ import annotations

import atexit
import os
import select
import signal
import stat
import sys
from types import FrameType

from ..errors import StuckError

# What a record that is being written when the signal comes may take to be out.
PATIENCE_SECONDS = 2.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ShutdownRequest:
    """Set by the first signal; a second one is obeyed at once, in the middle of whatever."""

    def __init__(self) -> None:
        self.event, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._set = False
        self.output: int | None = None

    def on_signals(self) -> None:
        # Python's handler runs once a sleeping system call is over. A signal that comes just before
        # it, or in another thread, ends none: a byte from the handler in C does.
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        # At exit Python removes its handlers, and an alarm would then kill it.
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def on_hang_up(self, fd: int) -> None:
        """Stop as well when the other end of an output pipe or socket is closed."""
        mode = os.fstat(fd).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            self.output = fd

    def set(self) -> None:
        self._set = True
        os.write(self._wake, b"\0")

    def is_set(self) -> bool:
        if self.output is not None and not self._set:
            poll = select.poll()
            poll.register(self.output, 0)
            if poll.poll(0):  # never unset: a signal may have come meanwhile
                self._set = True
        return self._set

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's
        self.set()
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's
        poll = select.poll()
        poll.register(sys.stdout, select.POLLOUT)
        if not poll.poll(0):
            what = "stopped while stdout was blocked; the last record may be truncated"
            raise StuckError(what)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)  # not stuck there: merely slow
