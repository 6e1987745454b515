# SPDX-License-Identifier: Apache-2.0
"""What a container or an incident is called: the same in every sink.

The metrics import this, as a sink beside the others; nothing here knows of them. Only an Event on a
pod (kubernetes/events.py) follows a stricter rule: the container it refers to must be one of the
pod's own names, never an id or a cgroup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from ..diagnosis.limit import both_bytes
from ..incident.container import NO_NAME, NO_STATE, NOT_FOUND, PATH_CUT, UNKNOWN_FORM
from ..units import size

if TYPE_CHECKING:
    from ..incident.model import Domain, Incident

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
    "manual": "requested by sysrq",
}
BY = {  # trigger.by
    "page_fault": "page fault",
    "file_read": "file read",
    "file_write": "file write",
    "tmpfs": "tmpfs or shared memory",
    "socket": "socket",
    "fork": "fork",
    "kernel": "kernel object",
    "limit_write": "write of a lower limit",
    "sysrq": "sysrq-f",
}
UNRESOLVED = {
    NOT_FOUND: "no runtime has a container with this id",
    NO_STATE: "its runtime's state is not mounted here (see container-oomkill doctor)",
    NO_NAME: "it has no name",
    PATH_CUT: "its cgroup path is too long",
    UNKNOWN_FORM: "no runtime known here names a cgroup like this one",
}
# Slices that are one's own to fill: a user's, a capsule's.
FILLED = re.compile(
    r"/(?:user\.slice/(user)-([0-9]+)\.slice|capsule\.slice/(capsule)@([^/]+)\.service)/", re.ASCII
)
CUT = "…"  # in a path, for names that are missing
Key = tuple[str, ...]  # of `container_key`
RUN_ONCE = ("CronJob", "Job")  # workloads whose pods are never started again, but replaced


class Named(Protocol):
    """What an incident says of its container, or a runtime's state of one."""

    @property
    def id(self) -> str | None: ...

    @property
    def name(self) -> str | None: ...


def container_name(container: Named, cgroup: str | None = None) -> str | None:
    """The best name known: its own, its id's start, or for what is in none the cgroup's name.

    ``cgroup``: the path; one that was cut ("…") may end inside a container, with any name.
    """
    if container.name or container.id:
        return container.name or short_id(container.id)
    if cgroup is None or not cgroup.startswith("/") or CUT in cgroup.split("/"):
        return None
    return cgroup.rpartition("/")[2] or "/"


class Counted(Named, Protocol):
    """What of a container its counters' labels come from."""

    @property
    def namespace(self) -> str | None: ...

    @property
    def pod(self) -> str | None: ...

    @property
    def service(self) -> str | None: ...

    @property
    def workload(self) -> str | None: ...

    @property
    def runtime(self) -> str | None: ...


def counted_as(container: Counted, cgroup: str | None = None) -> tuple[str, str, str]:
    """Namespace, pod and container as the metrics have them: the same after every restart.

    A kill whose name is new has no series that could increase. So what starts under another name
    each time is counted as its service, and a pod that is replaced and never restarted as its Job.
    """
    pod, name = container.pod, container.service or container_name(container, cgroup)
    kind, _, workload = (container.workload or "").partition("/")
    if pod and kind in RUN_ONCE:
        pod = workload
    return container.namespace or "", pod or "", name or UNKNOWN


def owner_of(container: Counted, cgroup: str | None = None) -> str:
    """Who can have as many label sets as they like: a user, a capsule, a namespace; "" for none.

    What is bounded is bounded by these: whoever makes up names costs no other theirs. A user's
    slice is theirs to fill, with whatever looks like a container.
    """
    if (filled := FILLED.match(cgroup or "")) is not None:
        return " ".join(filter(None, filled.groups()))
    return f"namespace {container.namespace}" if container.namespace else ""


def victims_cgroup(incident: Incident) -> str | None:
    """The path of the first victim's cgroup."""
    return incident.victims[0].cgroup if incident.victims else None


def container_key(incident: Incident) -> Key:
    """Whose incident it is, on one node: its owner, then what it is counted as.

    The same after a restart, for everything that counts or folds by container.
    """
    cgroup, container = victims_cgroup(incident), incident.container
    return (owner_of(container, cgroup), *counted_as(container, cgroup))


def workload_of(container: Counted, cgroup: str | None = None) -> str:
    """Workload, service or unit, whichever is the first that is known; "" for none."""
    if container.workload or container.service:
        return container.workload or container.service or ""
    return (container_name(container, cgroup) or "") if container.runtime == "systemd" else ""


def name_of(incident: Incident) -> str | None:
    """Return `container_name` of what was killed."""
    return container_name(incident.container, victims_cgroup(incident))


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
        limit = _limit(domain)
        return f"{limit} reached" + (f" ({how})" if how else "")
    reason = NO_LIMIT.get(incident.scope or "", "cause unknown")
    return f"{reason} (inferred)" if incident.inferred and incident.scope else reason


def _limit(domain: Domain) -> str:
    if (both := both_bytes(domain)) is not None:
        return f"limit {size(both)} of memory and swap"
    return "limit" if domain.limit_bytes is None else f"limit {size(domain.limit_bytes)}"
