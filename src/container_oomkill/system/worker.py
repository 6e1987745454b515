# SPDX-License-Identifier: Apache-2.0
"""A thread that can be stopped and that keeps its failure for others to raise.

A thread that dies unnoticed leaves the process looking healthy. So none of ours is a bare
`threading.Thread`: the main loop raises what a thread died of, which ends the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import Error

CLOSE_SECONDS = 1.0  # it may hang in a system call: then it is left to the end of the process


class Worker:
    """One daemon thread, by name: made first, started once, closed as often as one likes."""

    def __init__(self, name: str) -> None:
        self.failure: BaseException | None = None  # what ended it; it was a bug
        self._name = name
        self._thread: threading.Thread | None = None
        self._end = threading.Event()

    def start(
        self,
        run: Callable[[], object],
        *,
        wake: Callable[[], object] = lambda: None,
        failed: Callable[[], object] = lambda: None,
    ) -> None:
        """Have a thread call ``run``, which returns soon once `ending`.

        ``wake`` is called when that comes true, to end whatever ``run`` waits for; ``failed``, by
        the thread, once it has died and `check` would raise. Raises `Error` where the system gives
        no thread: it may be asked for again, and there is none to wait for.
        """
        self._wake, self._failed = wake, failed
        thread = threading.Thread(target=self._run, args=(run,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise Error(
                f"start a thread ({self._name}): {error}: allow this process more memory "
                "(ulimit -v) or its cgroup more processes (pids.max)"
            ) from None
        self._thread = thread

    @property
    def started(self) -> bool:
        return self._thread is not None

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def ending(self) -> bool:
        """Whether it was asked to end."""
        return self._end.is_set()

    def pause(self, seconds: float) -> None:
        """Sleep, in the thread, until that time is over or it is asked to end."""
        self._end.wait(seconds)

    def check(self) -> None:
        """Raise what the thread died of, if it did."""
        if self.failure is not None:
            raise self.failure

    def close(self, seconds: float | None = CLOSE_SECONDS) -> bool:
        """Tell it to end, wait that long for it (None: for ever); return whether it is over."""
        first = not self.ending
        self._end.set()
        if self._thread is None:
            return True
        if first:
            self._wake()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self, run: Callable[[], object]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - `check` raises it
            self.failure = error
            self._failed()
