# SPDX-License-Identifier: Apache-2.0
"""Makes a page once for all who wait for it, and rests in between for as long as making it took.

So however many clients ask, and however often, making pages takes half of one CPU at most; each is
of after it was asked for, and nobody waits for longer than it takes to make two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .connection import Connection
from .response import Shared


@dataclass(slots=True)
class _Page:
    """Who waits for one, and from when on it is made."""

    waiting: list[tuple[Connection, Shared]] = field(default_factory=list)
    due: float = 0.0  # monotonic; when it may be made again


class Pages:
    """Not locked: the server's thread has it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: dict[str, _Page] = {}

    def ask(self, client: Connection, wanted: Shared) -> None:
        """Have the client wait for it."""
        self._pages.setdefault(wanted.key, _Page()).waiting.append((client, wanted))

    def due(self) -> float | None:
        """When the next one is to be made; None: nobody waits."""
        return min((page.due for page in self._pages.values() if page.waiting), default=None)

    def made(
        self, failed: Callable[[Exception], None]
    ) -> Iterator[tuple[Connection, Shared, bytes | None]]:
        """Make what is due; yield it for each who waits, None where that failed."""
        for page in list(self._pages.values()):
            started = self._clock()
            if not page.waiting or page.due > started:
                continue
            waiting, page.waiting = page.waiting, []
            body: bytes | None = None
            try:
                body = waiting[0][1].make()
            except Exception as error:  # noqa: BLE001 - a bug of ours must not end the recording
                failed(error)
            now = self._clock()
            page.due = now + (now - started)
            for client, wanted in waiting:
                yield client, wanted, body
