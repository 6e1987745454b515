# SPDX-License-Identifier: Apache-2.0
"""Kills by others than the OOM killer: by cause, from 0, and by container and cause, bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..killers.cause import CAUSES, UNKNOWN
from .series import COUNTER_EXPIRY_SECONDS, COUNTERS_PER_CONTAINER, Key


@dataclass(slots=True)
class _Counted:
    """The kills of one owner, by cause."""

    owner: object
    touched: float  # monotonic seconds
    kills: Counter[str] = field(default_factory=Counter)


class OtherKills:
    """Not locked: `Metrics` does that."""

    def __init__(self, *, max_containers: int, monotonic: Callable[[], float]) -> None:
        self._max = max_containers * COUNTERS_PER_CONTAINER
        self._monotonic = monotonic
        self._causes = dict.fromkeys(CAUSES, 0)
        self._containers: dict[Key, _Counted] = {}  # the latest is the last
        self.evicted = 0

    def record(self, key: Key, cause: str | None, owner: str = "") -> None:
        """Count one; ``owner``: who can have made the label set up, "" for nobody."""
        known = cause if cause in self._causes else UNKNOWN
        self._causes[known] += 1
        now = self._monotonic()
        counted = self._containers.pop(key, None) or _Counted(owner or key, now)
        counted.touched = now
        counted.kills[known] += 1
        self._containers[key] = counted
        if len(self._containers) > self._max:
            held = Counter(each.owner for each in self._containers.values())
            del self._containers[
                max(self._containers, key=lambda k: held[self._containers[k].owner])
            ]
            self.evicted += 1

    def by_cause(self) -> Mapping[str, int]:
        return dict(self._causes)

    def by_container(self) -> Mapping[tuple[str, ...], int]:
        """Return by namespace, pod, container and cause what has not expired."""
        since = self._monotonic() - COUNTER_EXPIRY_SECONDS
        while self._containers and next(iter(self._containers.values())).touched <= since:
            del self._containers[next(iter(self._containers))]
        return {
            (*key, cause): number
            for key, counted in self._containers.items()
            for cause, number in counted.kills.items()
        }
