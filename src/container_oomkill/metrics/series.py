# SPDX-License-Identifier: Apache-2.0
"""Counters and last kills by label set, bounded: they expire, and the oldest are dropped first.

Of whom, is whoever has most of them: no user and no namespace can push out another's.

Counters and last kills are stored separately: a counter must outlive the gauges of the last kill,
or every second kill would look like a first one.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .exposition import Labels, clean
from .table import LABELS, LAST_INFO, LAST_KILL, scope_of

if TYPE_CHECKING:
    from ..incident.model import Incident

Key = tuple[str, str, str]  # values of LABELS, cleaned

# Counters outlive the last kill: four times as many, and a day.
COUNTERS_PER_CONTAINER = 4
COUNTER_EXPIRY_SECONDS = 86400.0


@dataclass(slots=True)
class Counts:
    """Counters of one label set, by scope."""

    labels: Labels
    workload: Labels  # that one label
    created: float  # seconds since the epoch
    touched: float  # monotonic seconds
    owner: Hashable  # of the label set: see `Series.record`
    containers: int = 0  # that exist and have these labels: two while one replaces another
    kills: dict[str, int] = field(default_factory=dict)
    incidents: dict[str, int] = field(default_factory=dict)

    def add(self, scope: str, kills: int, incidents: int) -> None:
        self.kills[scope] = self.kills.get(scope, 0) + kills
        self.incidents[scope] = self.incidents.get(scope, 0) + incidents

    def belongs_to(self, workload: str) -> None:
        """Take a workload's name that comes late; one that is known stays: no series splits."""
        if workload and not self.workload.values[0]:
            self.workload = Labels(("workload",), (workload,))


class Last:
    """The last kill of one label set: the incident until it is first served, then its numbers.

    An incident is some 3 KiB of objects, and its paths may be long; the numbers are 300 bytes.
    """

    __slots__ = ("_incident", "_info", "_numbers", "_workload", "at", "labels", "owner")

    def __init__(self, counts: Counts, incident: Incident, at: float) -> None:
        """``counts``: of the same label set; its workload too, so that one filter finds both."""
        self.labels = counts.labels
        self.owner = counts.owner
        self.at = at  # monotonic seconds
        self._workload = counts.workload.values[0]
        # A group may have thousands of victims; the metrics tell of the first.
        if len(incident.victims) > 1:
            incident = replace(incident, victims=incident.victims[:1])
        self._incident: Incident | None = incident
        self._numbers: array[float]
        self._info: Labels

    def numbers(self) -> array[float]:
        """Return a number for each row of LAST_KILL, NaN for unknown."""
        self._serve()
        return self._numbers

    def info(self) -> Labels:
        self._serve()
        return self._info

    def _serve(self) -> None:
        incident = self._incident
        if incident is None:
            return
        numbers = (row.of_last_kill(incident) for row in LAST_KILL if row.of_last_kill)
        self._numbers = array("d", (math.nan if n is None else n for n in numbers))
        container = incident.container
        facts = (
            container.id,
            container.image,
            incident.victims[0].command if incident.victims else None,
            incident.scope,
            incident.trigger.command,
            container.runtime,
            self._workload,
            container.name,
            container.pod,
            "true" if incident.inferred else "false",
            incident.id,
            None if incident.before is None else incident.before.shape,
        )
        self._info = Labels(
            LAST_INFO.labels, self.labels.values + tuple(clean(fact) for fact in facts)
        )
        self._incident = None


class Series:
    """Every label set there is. Not locked: `Metrics` does that."""

    def __init__(
        self,
        *,
        expiry_seconds: float,
        max_containers: int,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._expiry = expiry_seconds
        self._max_last = max_containers
        self._max_counters = max_containers * COUNTERS_PER_CONTAINER
        self._monotonic = monotonic
        self._wall = wall
        # Oldest first, all three. A label set's counts are in one of the first two.
        self._known: dict[Key, Counts] = {}
        self._others: dict[Key, Counts] = {}
        self._last: dict[Key, Last] = {}
        self._version = 0
        self.evicted = {"counters": 0, "last_kill": 0}

    def record(self, key: Key, incident: Incident, workload: str = "", owner: str = "") -> None:
        """Count an incident and keep it as the label set's last.

        ``owner``: who can have made it up, with others; "": it stands for itself.
        """
        self._version += 1
        now = self._monotonic()
        home = self._known if key in self._known else self._others
        created = min(self._wall(), incident.time)
        counts = home.pop(key, None) or self._new(key, created, owner)
        counts.touched = now
        counts.belongs_to(workload)
        counts.add(scope_of(incident), incident.kills, 1)
        home[key] = counts
        self._last.pop(key, None)
        self._last[key] = Last(counts, incident, now)
        self._bound()

    def restore(
        self, key: Key, incident: Incident, workload: str, owner: str = "", *, age: float
    ) -> None:
        """Show an incident that an earlier process counted, until it expires: ``age`` in seconds.

        Its counters begin at 0, as those of the process do: without that, the next kill would
        begin them anew with the very number they had, and increase() would not see it.
        """
        self._version += 1
        then = self._monotonic() - age
        home = self._known if key in self._known else self._others
        counts = home.pop(key, None) or self._new(key, self._wall(), owner)
        counts.touched = then
        counts.belongs_to(workload)
        counts.add(scope_of(incident), 0, 0)
        if age < COUNTER_EXPIRY_SECONDS or counts.containers:
            home[key] = counts
        if age < self._expiry:
            self._last.pop(key, None)
            self._last[key] = Last(counts, incident, then)
        self._bound()

    def register(self, key: Key, workload: str = "", owner: str = "") -> None:
        """A container of these labels exists: show its counters, at 0 if it had no kill."""
        self._version += 1
        counts = self._known.get(key)
        if counts is None:
            counts = self._others.pop(key, None) or self._new(key, self._wall(), owner)
            self._known[key] = counts
        counts.belongs_to(workload)
        counts.containers += 1
        self._bound()

    def forget(self, key: Key) -> None:
        """The container is gone: counters that never counted go, others stay for a day."""
        self._version += 1
        counts = self._known.get(key)
        if counts is None:
            return
        counts.containers -= 1
        if counts.containers:
            return
        del self._known[key]
        if any(counts.incidents.values()):
            counts.touched = self._monotonic()
            self._others[key] = counts

    def version(self) -> int:
        """Return a number that is another one as soon as anything else here is another one."""
        self._expire()
        return self._version

    def counts(self) -> list[Counts]:
        """Return what has not expired."""
        self._expire()
        return [*self._known.values(), *self._others.values()]

    def last(self) -> list[Last]:
        """Return what has not expired, oldest first."""
        self._expire()
        return list(self._last.values())

    def _new(self, key: Key, created: float, owner: str) -> Counts:
        none = Labels(("workload",), ("",))
        counts = Counts(Labels(LABELS, key), none, created, self._monotonic(), owner or key)
        for scope in ("container", "pod" if key[1] else "cgroup", "node"):
            counts.add(scope, 0, 0)
        return counts

    def _bound(self) -> None:
        while len(self._last) > self._max_last:
            del self._last[_of_busiest(self._last)]
            self.evicted["last_kill"] += 1
        while len(self._known) + len(self._others) > self._max_counters:
            key = _of_busiest(self._others | self._known)
            del (self._others if key in self._others else self._known)[key]
            self.evicted["counters"] += 1

    def _expire(self) -> None:
        now = self._monotonic()
        while self._last and now - next(iter(self._last.values())).at >= self._expiry:
            self._version += 1
            del self._last[next(iter(self._last))]
        while self._others:
            key, counts = next(iter(self._others.items()))
            if now - counts.touched < COUNTER_EXPIRY_SECONDS:
                break
            self._version += 1
            del self._others[key]


def _of_busiest(those: Mapping[Key, Counts] | Mapping[Key, Last]) -> Key:
    """Return the first of whoever has most."""
    held = Counter(each.owner for each in those.values())
    return max(those, key=lambda key: held[those[key].owner])
