# SPDX-License-Identifier: Apache-2.0
"""One message for a container in a loop, with counts: who is paged wants to know once.

The first kill of a container is told at once. Those within an interval after a message wait, and
the next message has them all. Containers are bounded: of more than `SIZE` that wait, none is lost,
as what has no place stays in the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..incident.model import Incident
from ..sinks.names import Key, container_key
from .fields import Message

SIZE = 256  # containers


@dataclass(slots=True)
class _Group:
    """Of one container. ``waiting``: kills that were not told; ``due``: when they may be."""

    due: float
    latest: Incident
    first: float = 0.0
    waiting: int = 0


class Groups:
    """``interval``: seconds from one message of a container to its next; 0: each kill is one."""

    def __init__(self, interval: float, clock: Callable[[], float]) -> None:
        self._interval = interval
        self._clock = clock
        self._groups: dict[Key, _Group] = {}

    def has_room(self) -> bool:
        """Forget who has nothing to tell, the longest ago first, if need be."""
        if len(self._groups) >= SIZE:
            quiet = [(it.due, key) for key, it in self._groups.items() if not it.waiting]
            if quiet:
                del self._groups[min(quiet)[1]]
        return len(self._groups) < SIZE

    def add(self, incident: Incident) -> Key:
        """Take a kill; return whose it is."""
        key: Key = container_key(incident)
        if not self._interval:
            key = (*key, incident.id)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(self._clock(), incident)
        if not group.waiting:
            group.first = incident.time
        group.waiting += 1
        group.latest = incident
        return key

    def next(self) -> tuple[Key, Message] | float | None:
        """Return the message that is due, or the seconds until there will be one, if ever."""
        waiting = [(it.due, key) for key, it in self._groups.items() if it.waiting]
        if not waiting:
            return None
        due, key = min(waiting)
        if (left := due - self._clock()) > 0:
            return left
        group = self._groups[key]
        return key, Message(group.latest, group.waiting, group.first)

    def told(self, key: Key, message: Message) -> None:
        """That message is settled."""
        group = self._groups[key]
        group.waiting -= message.count
        group.due = self._clock() + self._interval
        if not group.waiting and not self._interval:
            del self._groups[key]
