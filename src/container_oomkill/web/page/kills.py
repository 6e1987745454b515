# SPDX-License-Identifier: Apache-2.0
"""Incidents -> those of each container: how often, the one before, the one after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...diagnosis.habit import Habit, find_habit
from ...sinks.names import container_key
from ...units import DAY_SECONDS, ordinal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...incident.model import Incident
    from ...sinks.names import Key


@dataclass(frozen=True, slots=True)
class Kills:
    """What is kept of one container, newest first."""

    incidents: Sequence[Incident]
    dropped_at: float | None  # time of the latest of its incidents that had to go

    @property
    def latest(self) -> Incident:
        return self.incidents[0]

    def in_day(self, until: float) -> int:
        """Count the incidents of the 24 hours up to ``until``."""
        return sum(until - DAY_SECONDS < each.time <= until for each in self.incidents)

    def is_least(self, until: float) -> bool:
        """Whether there were more in these 24 hours than are kept."""
        return self.dropped_at is not None and self.dropped_at > until - DAY_SECONDS

    def earlier(self, incident: Incident) -> Incident | None:
        return next(iter(self.incidents[self._at(incident) + 1 :]), None)

    def later(self, incident: Incident) -> Incident | None:
        at = self._at(incident)
        return self.incidents[at - 1] if at else None

    def _at(self, incident: Incident) -> int:
        return next(n for n, each in enumerate(self.incidents) if each.id == incident.id)

    def how_often(self, incident: Incident, watched_since: float) -> str:
        """Say which time it was, as far as that is known."""
        count, until = self.in_day(incident.time), incident.time
        if self.is_least(until):
            return f"at least the {ordinal(count)} time in 24 h"
        if count > 1:
            return f"{ordinal(count)} time in 24 h"
        if watched_since > until - DAY_SECONDS and self.earlier(incident) is None:
            return "first known kill"
        return "first time in 24 h"

    def habit(self, incident: Incident) -> Habit | None:
        """Return what it has in common with those before it, as far as that is known."""
        upto = self.incidents[self._at(incident) :]
        return find_habit(upto, is_least=self.dropped_at is not None)


def by_container(newest_first: Iterable[Incident], dropped: Mapping[Key, float]) -> list[Kills]:
    """Put together what is one container's; the one killed last comes first."""
    found: dict[Key, list[Incident]] = {}
    for incident in newest_first:
        found.setdefault(container_key(incident), []).append(incident)
    return [Kills(incidents, dropped.get(key)) for key, incidents in found.items()]
