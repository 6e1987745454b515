# SPDX-License-Identifier: Apache-2.0
"""Takes records of every kind, gives those of one container, and whether it ended by them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..incident.model import Container, Incident
from ..killers.model import Kill
from ..stuck.model import Stuck
from .kill_names import kill_key, kill_name, kill_named
from .names import Key, container_key, full_name, short_id
from .query import ID_MIN, named
from .stuck_names import stuck_key, stuck_name, stuck_named

Ending = Incident | Kill  # what a container may end by
Record = Ending | Stuck


def whose(record: Record) -> str:
    """namespace/pod/container, as far as they are known."""
    if isinstance(record, Stuck):
        return stuck_name(record)
    return kill_name(record) if isinstance(record, Kill) else full_name(record)


def apart(records: Iterable[Record]) -> tuple[list[Ending], list[Stuck]]:
    """Return those in which something was killed, and those in which nothing was."""
    kills: list[Ending] = []
    stuck: list[Stuck] = []
    for record in records:
        if isinstance(record, Stuck):
            stuck.append(record)
        else:
            kills.append(record)
    return kills, stuck


def is_end(record: Ending) -> bool:
    """Whether PID 1 of its namespace was killed: then the container ended, by exit code 137."""
    if isinstance(record, Kill):
        return bool(record.target.is_init)
    return any(
        victim.pid_in_container == 1 and victim.pid != 1 and not victim.from_outside
        for victim in record.victims
    )


def ends_of(records: Iterable[Ending]) -> tuple[list[Ending], list[Ending]]:
    """Return those that a container ended by, and the others."""
    ends: list[Ending] = []
    others: list[Ending] = []
    for record in records:
        (ends if is_end(record) else others).append(record)
    return ends, others


def of_container(records: Iterable[Record], wanted: str) -> list[list[Record]]:
    """Return the records of each container that ``wanted`` names, newest first, as are they.

    ``wanted``: a container's name or service, or the first four or more characters of its id;
    behind its pod, or namespace and pod, if there are slashes. Of names that are it and names that
    merely have it in them, only the former.
    """
    *place, name = [part for part in wanted.strip().strip("/").split("/") if part] or [""]
    there = [record for record in records if _is_there(record, place)]
    exact = [record for record in there if _is_called(record, name)]
    found = exact or [record for record in there if _has(record, name)]
    its: dict[Key, list[Record]] = {}
    for record in sorted(found, key=lambda each: each.time, reverse=True):
        its.setdefault(_key(record), []).append(record)
    return list(its.values())


def _key(record: Record) -> Key:
    if isinstance(record, Stuck):
        return stuck_key(record)
    return kill_key(record) if isinstance(record, Kill) else container_key(record)


def _names(record: Record) -> dict[str, str | None]:
    if isinstance(record, Stuck):
        return stuck_named(record)
    return kill_named(record) if isinstance(record, Kill) else named(record)


def _is_there(record: Record, place: Sequence[str]) -> bool:
    """``place``: namespace and pod, or the pod alone."""
    names = _names(record)
    known = [names["pod"], names["namespace"]]
    return all(
        (there or "").lower() == asked.lower()
        for there, asked in zip(known, reversed(place), strict=False)
    ) and len(place) <= len(known)


def _is_called(record: Record, name: str) -> bool:
    container: Container = record.container
    id_ = container.id or ""
    if len(name) >= ID_MIN and id_.startswith(name.lower()):
        return True
    names = (_names(record)["container"], container.name, container.service, short_id(container.id))
    return name.lower() in {(each or "").lower() for each in names}


def _has(record: Record, name: str) -> bool:
    container: Container = record.container
    names = (_names(record)["container"], container.name, container.service, container.pod)
    return any(name.lower() in (each or "").lower() for each in names)
