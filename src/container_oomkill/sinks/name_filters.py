# SPDX-License-Identifier: Apache-2.0
"""The filters of a `Query` that records of every kind have: by name, cgroup, time and id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .names import container_name, counted_as, workload_of
from .query import ID_MIN, NAMES, Query

if TYPE_CHECKING:
    from ..incident.model import Container


@dataclass(frozen=True, slots=True)
class Subject:
    """What a record is about, and when that was: seconds since the epoch."""

    id: str
    began: float
    ended: float  # the same, of what is of one moment
    node: str
    container: Container
    cgroup: str | None

    def names(self) -> dict[str, str | None]:
        """Return what names it has, by the parameter that filters by it."""
        return {
            "namespace": self.container.namespace,
            "pod": self.container.pod,
            "container": container_name(self.container, self.cgroup),
            "workload": workload_of(self.container, self.cgroup) or None,
            "node": self.node,
        }


def is_asked_for(query: Query, subject: Subject) -> bool:
    """Of a record that is no incident: who asks for a scope or a shape asks for none of these."""
    if query.scope or query.shape:
        return False
    if not subject.id.startswith(query.id):
        return False
    if query.after_time is not None and subject.ended <= query.after_time:
        return False
    if query.before_time is not None and subject.began >= query.before_time:
        return False
    if query.cgroup and not _is_in(subject.cgroup, query.cgroup):
        return False
    names = subject.names()
    return all(
        _has(subject, names[key], key, wanted) for key in NAMES if (wanted := getattr(query, key))
    )


def _has(subject: Subject, text: str | None, key: str, wanted: str) -> bool:
    container = subject.container
    also: tuple[str | None, ...] = ()
    if key == "container":
        if len(wanted) >= ID_MIN and (container.id or "").startswith(wanted.lower()):
            return True
        also = container.name, container.service, counted_as(container, subject.cgroup)[2]
    wanted = wanted.lower()
    return any(wanted in (each or "").lower() for each in (text, *also))


def _is_in(path: str | None, wanted: str) -> bool:
    name = f"/{wanted.strip('/')}/".replace("//", "/")
    if path is None:
        return False
    whole = f"{path.rstrip('/')}/"
    return whole.startswith(name) if wanted.startswith("/") else name in whole
