# SPDX-License-Identifier: Apache-2.0
"""An incident in one line: what died, whose it was, what ran out, who asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.limit import both_bytes, is_lowered
from ...sinks.names import NO_LIMIT, name_of
from .words import limit_size, name, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...incident.model import Container, Incident

SURE = (None, "manual")  # what is known by other signs than usage, or not at all
WHOSE = {
    "container": "its own limit",
    "pod": "pod limit",
    "cgroup": "limit of a cgroup above it",
    None: "limit",
}
PLACE_COLUMNS = 40


def headline(incident: Incident) -> Iterator[h.Node]:
    """Give the words, as a page's heading."""
    called = _called(incident)
    yield name(called) if called else "A process"
    if place := _place(incident.container):
        yield [" (", [["/" if n else None, name(each, PLACE_COLUMNS)] for n, each in place], ")"]
    yield [" was OOM-killed: ", what_ran_out(incident)]
    yield _who_asked(incident)


def title(incident: Incident) -> str:
    """Return the same, short, for a window's title and a bookmark."""
    place = "/".join(plain(each, PLACE_COLUMNS) for _, each in _place(incident.container))
    called = _called(incident)
    return (
        f"{plain(called) if called else 'A process'}{f' ({place})' if place else ''} was OOM-killed"
    )


def what_ran_out(incident: Incident) -> str:
    """Say it without whose container it was."""
    domain = incident.domain
    apparently = "apparently " if incident.inferred and incident.scope not in SURE else ""
    if domain is None or (domain.limit_bytes is None and incident.scope not in WHOSE):
        return apparently + NO_LIMIT.get(incident.scope or "", "cause unknown")
    limit = WHOSE.get(incident.scope, "limit")
    if (both := both_bytes(domain)) is not None:
        return f"{limit} of memory and swap {limit_size(both)} {apparently}reached"
    if domain.limit_bytes is None:
        return f"{limit} {apparently}reached"
    bytes_ = limit_size(domain.limit_bytes)
    if is_lowered(incident):
        return f"{limit} {apparently}lowered to {bytes_}"
    return f"{limit} {bytes_} {apparently}reached"


def _called(incident: Incident) -> str | None:
    """Its container, or its cgroup's name; of a process whose cgroup is unknown, its command."""
    return name_of(incident) or incident.victims[0].command


def _place(container: Container) -> list[tuple[int, str]]:
    """Namespace and workload, whose name people know; without one the pod."""
    _, _, workload = (container.workload or "").partition("/")
    known = filter(None, (container.namespace, workload or container.pod))
    return list(enumerate(known))


def _who_asked(incident: Incident) -> h.Node:
    """Where it was another container, or whoever wrote a lower limit."""
    trigger = incident.trigger
    if is_lowered(incident):
        return [" by ", name(trigger.command)] if trigger.command else None
    if trigger.container_id is None or incident.container.id in (None, trigger.container_id):
        return None
    other = trigger.container
    if other is not None and other.name:
        return [", asked for by ", name(other.name)]
    return ", asked for by another container" if incident.scope in WHOSE else None
