# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives who below the domain was charged with how much, and what nobody was.

By the domain's children, which the kernel side reads at the kill. Where they are unknown (records
of before, processes in the domain itself) only the victim's own cgroup is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..identity.cgroup.readers import hex64
from ..identity.metadata import SANDBOX
from ..identity.resolver import parse

if TYPE_CHECKING:
    from ..incident.model import Child, Domain, Incident, Stat

CUT = "…"  # stands for names that a path lacks
NOTABLE_PERCENT = 25
LITTLE_PERCENT = 5  # of the limit; a pod's sandbox holds half a MiB
LITTLE_BYTES = 1 << 20
MOSTLY_PERCENT = 75
SHORT_ID = 12


def percent(bytes_: int | None, whole: int | None) -> int | None:
    """Return the share, rounded down; None where either is unknown."""
    return None if bytes_ is None or not whole else 100 * bytes_ // whole


def is_notable(bytes_: int | None, whole: int | None) -> bool:
    share = percent(bytes_, whole)
    return share is not None and share >= NOTABLE_PERCENT


def is_within(path: str | None, cgroup: str | None) -> bool | None:
    """Tell whether a path is a cgroup's or below it; None where names are missing."""
    if path is None or cgroup is None or path.startswith(CUT) or CUT in cgroup.split("/"):
        return None
    if path == cgroup or path.startswith(cgroup.rstrip("/") + "/"):
        return True
    known, cut, _ = path.partition(f"/{CUT}/")
    return None if cut and cgroup.startswith(known + "/") else False


def own_child(incident: Incident) -> Child | None:
    """The domain's child that the victim is in."""
    victim, domain = incident.victims[0], incident.domain
    for child in domain.children or () if domain else ():
        if child.cgroup_id is not None and child.cgroup_id == victim.cgroup_id:
            return child
        if is_within(victim.cgroup, child.cgroup):
            return child
    return None


def neighbours(incident: Incident) -> tuple[Child, ...] | None:
    """The domain's other children, largest first; None where they are unknown.

    A pod's sandbox is none: it holds the pod together, and next to nothing.
    """
    domain, own = incident.domain, own_child(incident)
    if domain is None or domain.children is None or own is None:
        return None
    return tuple(
        child
        for child in domain.children
        if child is not own and child.container.name != SANDBOX and child.usage_bytes is not None
    )


def others_hold_little(incident: Incident) -> bool | None:
    """Whether what living children other than the victim's hold is next to nothing.

    None where that is unknown: of a record without children it follows where the victim's own
    cgroup held all but as little.
    """
    domain, own = incident.domain, own_child(incident)
    if domain is None or domain.usage_bytes is None:
        return None
    little = max(LITTLE_BYTES, (domain.limit_bytes or 0) * LITTLE_PERCENT // 100)
    if domain.children is not None and own is not None:
        held = [child.usage_bytes for child in domain.children if child is not own]
        return None if None in held else sum(filter(None, held)) <= little
    usage = incident.victims[0].usage_bytes
    return True if usage is not None and domain.usage_bytes - usage <= little else None


def own_limit_bytes(incident: Incident) -> int | None:
    """The limit of the victim's container where the domain is above it."""
    own, victim = own_child(incident), incident.victims[0]
    if own is not None:
        return own.limit_bytes
    if victim.cgroup is not None and victim.cgroup == parse(victim.cgroup).container_cgroup:
        return victim.limit_bytes
    return None


def own_usage_bytes(incident: Incident) -> int | None:
    own = own_child(incident)
    return incident.victims[0].usage_bytes if own is None else own.usage_bytes


def called(child: Child) -> str:
    """Its best name: the container's, its pod's, its id's start, or the cgroup's."""
    container = child.container
    if container.name or container.pod:
        return container.name or str(container.pod)
    if container.id:
        return short(container.id)
    return (child.cgroup or "").rpartition("/")[2] or "a cgroup without a name"


def short(name: str) -> str:
    """A name as it is; of a hexadecimal id its start, as `crictl` and `docker` print it."""
    return name[:SHORT_ID] if hex64(name) else name


def left_behind_bytes(incident: Incident) -> int | None:
    """What is charged to the domain, and to no living cgroup below it.

    Of a record that has no children it is told only of a pod whose limit is the container's own:
    the kubelet gives a pod the sum of its containers' limits, so that there is no other.
    """
    domain, victim = incident.domain, incident.victims[0]
    if domain is None or domain.usage_bytes is None:
        return None
    if domain.stat is not None and domain.stat.gone_bytes is not None:
        return domain.stat.gone_bytes
    if domain.children is not None or not is_the_pods(incident) or victim.usage_bytes is None:
        return None
    if domain.limit_bytes is None or domain.limit_bytes != own_limit_bytes(incident):
        return None
    return max(0, domain.usage_bytes - victim.usage_bytes)


def is_the_pods(incident: Incident) -> bool:
    """Whether the domain is the pod's cgroup, the victim's container below it."""
    domain, victim = incident.domain, incident.victims[0]
    if domain is None or domain.cgroup is None or victim.cgroup is None:
        return False
    return domain.cgroup == parse(victim.cgroup).pod_cgroup


def is_tmpfs(incident: Incident, left: int) -> bool:
    """Whether what nobody living holds is surely shmem, for the most part."""
    domain, victim = incident.domain, incident.victims[0]
    if domain is None or domain.stat is None or domain.usage_bytes is None:
        return False
    shmem = domain.stat.shmem_bytes
    if shmem is None:
        return False
    least = left - max(0, domain.usage_bytes - shmem)  # whatever else there is may be its own
    if (own := _own_stat(domain, victim.stat)) is not None and own.shmem_bytes is not None:
        living = [child.usage_bytes or 0 for child in neighbours(incident) or ()]
        least = max(least, shmem - own.shmem_bytes - sum(living))
    return 100 * least >= MOSTLY_PERCENT * left


def _own_stat(domain: Domain, own: Stat | None) -> Stat | None:
    return own if own is not None else domain.stat
