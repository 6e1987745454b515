# SPDX-License-Identifier: Apache-2.0
"""Kills without a container's name: by scope, and by namespace and scope, from 0.

A counter that begins with a kill has no increase(). A container may be unknown until it is killed;
a scope never is, and a namespace is known as soon as one of its containers is. So these feed the
aggregates, whatever becomes of the counters by container.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exposition import Labels
from .table import SCOPES, scope_of

if TYPE_CHECKING:
    from ..incident.model import Incident

NAMESPACES_MAX = 256
NAMESPACE_EXPIRY_SECONDS = 86400.0  # after the last container or kill, as other counters
HOST = ""  # the namespace of what is in none


@dataclass(slots=True)
class Total:
    """One counter for each scope."""

    labels: Labels
    created: float  # seconds since the epoch
    kills: dict[str, int]
    touched: float  # monotonic seconds
    containers: int = 0  # that exist in this namespace


class Totals:
    """Not locked: `Metrics` does that."""

    def __init__(self, *, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._all = self._new(())
        self._namespaces = {HOST: self._new((HOST,))}
        self._version = 0
        self.evicted = 0

    def record(self, namespace: str, incident: Incident) -> None:
        """Count what an incident killed."""
        scope, killed = scope_of(incident), incident.kills
        mine = self._touch(namespace, since=min(self._wall(), incident.time))
        for each in (self._all, mine):
            each.kills[scope] += killed

    def show(self, namespace: str) -> None:
        """Have this namespace's counters, at 0 if it had no kill."""
        self._touch(namespace)

    def register(self, namespace: str) -> None:
        """A container exists in it."""
        self._touch(namespace).containers += 1

    def forget(self, namespace: str) -> None:
        """One of its containers is gone."""
        if (known := self._namespaces.get(namespace)) is not None:
            self._version += 1
            known.containers = max(0, known.containers - 1)
            known.touched = self._monotonic()

    def version(self) -> int:
        """Return a number that is another one as soon as anything else here is another one."""
        self._expire()
        return self._version

    def all(self) -> Total:
        return self._all

    def namespaces(self) -> list[Total]:
        """Return what has not expired."""
        self._expire()
        return list(self._namespaces.values())

    def _expire(self) -> None:
        since = self._monotonic() - NAMESPACE_EXPIRY_SECONDS
        for name, each in list(self._namespaces.items()):
            if name != HOST and not each.containers and each.touched <= since:
                self._version += 1
                del self._namespaces[name]

    def _touch(self, namespace: str, *, since: float | None = None) -> Total:
        self._version += 1
        found = self._namespaces.pop(namespace, None) or self._new((namespace,), since)
        found.touched = self._monotonic()
        self._namespaces[namespace] = found  # the latest is the last
        if len(self._namespaces) > NAMESPACES_MAX:
            self._evict()
        return found

    def _evict(self) -> None:
        """Drop the oldest, one without containers if there is any."""
        names = [name for name in list(self._namespaces)[:-1] if name != HOST]
        idle = (name for name in names if not self._namespaces[name].containers)
        del self._namespaces[next(idle, names[0])]
        self.evicted += 1

    def _new(self, values: tuple[str, ...], since: float | None = None) -> Total:
        created = self._wall() if since is None else since
        names = ("namespace",)[: len(values)]
        return Total(
            Labels(names, values), created, dict.fromkeys(SCOPES, 0), touched=self._monotonic()
        )
