# SPDX-License-Identifier: Apache-2.0
"""Takes folders, waits until something happens in one, for a time, or until it is told to end.

Where the kernel has no inotify instance or watch left (a busy node: fs.inotify.max_user_*), only
time passes: whoever waits then looks every few seconds.
"""

from __future__ import annotations

import os
import select
import time

from ..system import log
from .inotify import Inotify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

INTERVAL_SECONDS = 2.0  # between looks, without inotify
GATHER_SECONDS = 0.01  # what comes in a burst is looked at once; the state file is there by then


class FolderWatch:
    """One thread waits, any other may `end` that; `close` when none waits any more."""

    def __init__(
        self,
        *,
        interval: float = INTERVAL_SECONDS,
        make: Callable[[], Inotify] = Inotify,
    ) -> None:
        self._interval = interval
        self._make = make
        self._complained = False
        self._inotify: Inotify | None = None
        self._end = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._end, select.POLLIN)

    def watch(self, folders: Iterable[str]) -> None:
        """End `wait` from now on when something happens in one of ``folders``, or makes one."""
        try:
            if self._inotify is None:
                self._inotify = self._make()
                self._poll.register(self._inotify, select.POLLIN)
            self._inotify.watch(folders)
        except OSError as error:
            self._drop()
            if not self._complained:
                self._complained = True
                every = f"looking every {self._interval:g} s instead"
                log.warn(f"watch container state: {error.strerror}: {every}")

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for something to happen; return whether events were lost."""
        if self._inotify is None:
            seconds = min(seconds, self._interval)
        ready = {fd for fd, _ in self._poll.poll(max(0.0, seconds) * 1000)}
        if self._end in ready or self._inotify is None or self._inotify.fileno() not in ready:
            return False
        time.sleep(GATHER_SECONDS)
        return self._inotify.read()

    def end(self) -> None:
        """Have `wait` return at once, for good."""
        os.eventfd_write(self._end, 1)

    def close(self) -> None:
        self._drop()
        os.close(self._end)

    def _drop(self) -> None:
        if self._inotify is not None:
            self._poll.unregister(self._inotify)
            self._inotify.close()
            self._inotify = None
