# SPDX-License-Identifier: Apache-2.0
"""Whether it is the first time: how often a container was killed within a day."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from ..diagnosis.habit import Habit, find_habit
from ..units import DAY_SECONDS, ordinal
from .names import Key, container_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..incident.model import Incident

CONTAINERS_MAX = 1000
TIMES_MAX = 1000  # of one container


def key_of(incident: Incident) -> Key:
    """Return `container_key` with the node: a recording may have several nodes' incidents."""
    return (incident.node, *container_key(incident))


def times_in_a_day(incident: Incident, known: Iterable[Incident]) -> int:
    """Return which one it is of its container's, of those ``known`` within a day before it."""
    key, since = key_of(incident), incident.time - DAY_SECONDS
    ids = {
        each.id
        for each in known
        if since < each.time <= incident.time and key_of(each) == key and each.id != incident.id
    }
    return len(ids) + 1


def habit_of(incident: Incident, known: Iterable[Incident]) -> Habit | None:
    """Return what it has in common with those of its container's before it, of those ``known``."""
    key, wanted = key_of(incident), (incident.time, incident.id)
    before = {each.id: each for each in known if key_of(each) == key}
    upto = [each for each in before.values() if (each.time, each.id) <= wanted]
    return find_habit(sorted(upto, key=lambda each: (each.time, each.id), reverse=True))


class Repeats:
    """Call it with each incident, in order; gives `times_in_a_day`. Bounded."""

    def __init__(self) -> None:
        self._times: OrderedDict[Key, deque[float]] = OrderedDict()

    def __call__(self, incident: Incident) -> int:
        key = key_of(incident)
        times = self._times.setdefault(key, deque(maxlen=TIMES_MAX))
        self._times.move_to_end(key)
        if len(self._times) > CONTAINERS_MAX:
            self._times.popitem(last=False)
        while times and times[0] <= incident.time - DAY_SECONDS:
            times.popleft()
        times.append(incident.time)
        return len(times)


def repeat_words(times: int) -> str:
    """Return "4th time in 24 h"; empty for the first."""
    return f"{ordinal(times)} time in 24 h" if times > 1 else ""
