# SPDX-License-Identifier: Apache-2.0
"""Takes what is known of containers, gives it back by id; bounded, safe to use from threads.

A container often goes before its kill is looked at, so the names of gone ones are kept a while.
Room is made by dropping first the longest gone, then the longest known: both can be read again
if they are still there.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .metadata import ContainerMetadata, Key

KEEP_SECONDS = 600.0
CAPACITY = 4096  # containers; a few hundred bytes each


class Store:
    """Containers by (owner, id)."""

    def __init__(
        self,
        *,
        capacity: int = CAPACITY,
        keep_seconds: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._live: OrderedDict[Key, ContainerMetadata] = OrderedDict()
        self._version = 0
        self._gone: OrderedDict[Key, tuple[float, ContainerMetadata]] = OrderedDict()

    def put(self, known: ContainerMetadata) -> None:
        """Add or renew a container; of two sources' knowledge the fuller is kept."""
        key = known.key()
        with self._lock:
            self._gone.pop(key, None)
            before = self._live.get(key)
            if before is None or (known != before and known.facts() >= before.facts()):
                self._live[key] = known
                self._version += 1
            self._trim()

    def gone(self, key: Key) -> None:
        """Note that a container is no more."""
        with self._lock:
            known = self._live.pop(key, None)
            if known is not None:
                self._version += 1
                self._gone[key] = (self._clock(), known)
            self._trim()

    def lookup(self, key: Key) -> ContainerMetadata | None:
        """Return what is known of a container, of one that is gone as well."""
        with self._lock:
            self._trim()
            if key in self._gone:
                return self._gone[key][1]
            return self._live.get(key)

    def version(self) -> int:
        """Return a number that is another one as soon as `live` gives anything else."""
        return self._version

    def live(self) -> tuple[ContainerMetadata, ...]:
        """Return the containers there are, the longest known first."""
        with self._lock:
            return tuple(self._live.values())

    def __len__(self) -> int:
        with self._lock:
            return len(self._live) + len(self._gone)

    def _trim(self) -> None:
        oldest = self._clock() - self._keep_seconds
        while self._gone:
            key, (since, _) = next(iter(self._gone.items()))
            if since > oldest and len(self._live) + len(self._gone) <= self._capacity:
                break
            del self._gone[key]
        while len(self._live) > self._capacity:
            self._live.popitem(last=False)
            self._version += 1
