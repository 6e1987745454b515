# SPDX-License-Identifier: Apache-2.0
"""What waits to be sent, in the history file: an outage or a restart loses nothing it holds.

There is no second store. A small file beside the history has the id of the last incident that was
settled; what is behind it in the history is sent. So what waits is bounded as the history is, takes
no memory, and is chosen fairly. Where that id is no longer in the history, as after a crash at the
wrong moment, all of it is sent again: `log.record.uid` tells which are the same.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..history.file import HistoryFile
from ..history.form import INCIDENTS, Form
from ..history.lines import read_line
from ..system import log
from .waiting import Item, MemoryQueue


class Backlog:
    """A `Queue` that follows a history; ``on_dropped`` gets the number of those that had to go."""

    def __init__(
        self,
        history: HistoryFile,
        path: str,
        name: str,
        *,
        size: int,
        on_dropped: Callable[[int], None] = lambda _: None,
        form: Form = INCIDENTS,
        on_more: Callable[[], None] = lambda: None,
    ) -> None:
        """``path``: the history's; ``name``: the destination; ``size``: what the history holds.

        ``form``: of what it is; ``on_more`` is called when there is more to take.
        """
        self.size = size
        self._history = history
        self._path = Path(f"{os.path.realpath(path)}.{name}-sent")
        self._on_dropped = on_dropped
        self._trouble = log.Once(f"write {self._path}")
        # What the disk did not take; its condition is what the sender's thread sleeps on.
        self._beside = MemoryQueue(256, on_dropped, key=form.key)
        self._form = form
        self._on_more = on_more
        self._lock = threading.Lock()
        self._settled = self._taken = self._begin()
        self._write()
        history.followers.append(self)

    def _begin(self) -> int:
        """Return the number of the last incident that needs not be sent."""
        try:
            found = json.loads(self._path.read_bytes())
            name = found["id"]
        except FileNotFoundError:
            return self._history.newest_number()  # sent from now on: what was before is history
        except (OSError, ValueError, TypeError, KeyError):
            name = None
        return (self._history.number_of(name) if isinstance(name, str) else None) or 0

    def add(self, incident: Any) -> None:
        """Nothing: it comes by way of the history."""

    def written(self) -> None:
        self._beside.wake()
        self._on_more()

    def unwritten(self, incident: Any) -> None:
        self._beside.add(incident)
        self._on_more()

    def replaced(self) -> None:
        with self._lock:
            self._write()

    def take(self, most: int) -> list[Item]:
        if beside := self._beside.take(most):
            return beside
        items: list[Item] = []
        missing = 0
        with self._lock:
            for number, line in self._history.after(self._taken, most):
                missing += number - self._taken - 1
                self._taken = number
                try:
                    items.append(Item(read_line(line, self._form), number))
                except RecordError:
                    missing += 1
        if missing:
            self._on_dropped(missing)
        return items

    def settled(self, numbers: Sequence[int | None]) -> None:
        known = [each for each in numbers if each is not None]
        self._beside.settled([None] * (len(numbers) - len(known)))
        if known:
            with self._lock:
                self._settled = max(self._settled, *known)
                self._write()

    def wait(self, seconds: float | None) -> None:
        self._beside.wait(seconds)

    def wake(self) -> None:
        self._beside.wake()

    def depth(self) -> int:
        with self._lock:
            return self._beside.depth() + self._history.count_after(self._settled)

    def close(self) -> int:
        return self._beside.close()

    def _write(self) -> None:
        """Keep where we are. Not synced: after a power cut some are sent twice, none is lost."""
        beside = self._path.with_name(self._path.name + ".rewriting")
        try:
            text = json.dumps({"id": self._history.last_upto(self._settled)})
            beside.write_text(text + "\n", encoding="ascii")
            beside.replace(self._path)
        except OSError as error:
            self._trouble.warn((error.strerror or str(error)).lower())
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        else:
            self._trouble.clear()
