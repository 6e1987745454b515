# SPDX-License-Identifier: Apache-2.0
"""Takes a container or an incident, gives what it is called: the same in every sink.

The metrics import this, as a sink beside the others; nothing here knows of them. Only an Event on a
pod (kubernetes/events.py) has a stricter rule: the container it points at is one of the pod's own
names, never an id or a cgroup.
"""

from __future__ import annotations

import re
from typing import Protocol

from ..incident.model import NO_NAME, NO_STATE, NOT_FOUND, PATH_CUT, Incident
from ..units import size

UNKNOWN = "unknown"
HEX_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
SHORT_ID = 12  # characters, as docker and crictl print it
SCOPES = {
    "container": "its own",
    "pod": "its pod's",
    "cgroup": "a parent cgroup's",
}
NO_LIMIT = {
    "node": "the node ran out of memory",
    "cpuset": "the memory of its cpuset ran out",
    "mempolicy": "the memory its policy allows ran out",
    "manual": "asked for by sysrq",
}
UNRESOLVED = {
    NOT_FOUND: "no runtime's state has this id",
    NO_STATE: "there is no state of its runtime here (container-oomkill doctor)",
    NO_NAME: "it was given none",
    PATH_CUT: "the cgroup's path is too long",
}


class Named(Protocol):
    """What an incident says of its container, or a runtime's state of one."""

    @property
    def id(self) -> str | None: ...

    @property
    def name(self) -> str | None: ...


def container_name(container: Named, cgroup: str | None = None) -> str | None:
    """The best name known: its own, its id's start, or for what is in none the cgroup's name.

    ``cgroup``: the path; one that was cut ("…/") may end inside a container, with any name.
    """
    if container.name or container.id:
        return container.name or short_id(container.id)
    if cgroup is None or not cgroup.startswith("/"):
        return None
    return cgroup.rpartition("/")[2] or "/"


def name_of(incident: Incident) -> str | None:
    """Return `container_name` of what was killed."""
    cgroup = incident.victims[0].cgroup if incident.victims else None
    return container_name(incident.container, cgroup)


def full_name(incident: Incident) -> str:
    """namespace/pod/container, as far as they are known."""
    container = incident.container
    known = filter(None, (container.namespace, container.pod, name_of(incident)))
    return "/".join(known) or f"{UNKNOWN} container"


def short_id(container_id: str | None) -> str | None:
    """The first 12 characters of a hexadecimal id, any other id whole."""
    if container_id is None or not HEX_ID.fullmatch(container_id):
        return container_id
    return container_id[:SHORT_ID]


def what_ran_out(incident: Incident) -> str:
    """The limit that was reached and whose it is, or what else."""
    domain = incident.domain
    if domain is not None and (domain.limit_bytes is not None or incident.scope in SCOPES):
        known = [SCOPES.get(incident.scope or ""), "inferred" if incident.inferred else None]
        how = ", ".join(filter(None, known))
        limit = "limit" if domain.limit_bytes is None else f"limit {size(domain.limit_bytes)}"
        return f"{limit} reached" + (f" ({how})" if how else "")
    reason = NO_LIMIT.get(incident.scope or "", "cause unknown")
    return f"{reason} (inferred)" if incident.inferred and incident.scope else reason
