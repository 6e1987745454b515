# SPDX-License-Identifier: Apache-2.0
"""Takes an incident whose container is known, gives its scope: what ran out."""

from __future__ import annotations

from ..identity.cgroup.path import own_cgroup
from ..identity.resolver import parse
from ..incident.kernel_symbols import SYSRQ
from ..incident.model import Domain, Incident, Victim
from .asked import find_by
from .below import is_the_pods, others_hold_little, own_limit_bytes

# enum oom_constraint -> scope, where the limit is not a cgroup's
NO_CGROUP = {"none": "node", "cpuset": "cpuset", "memory_policy": "mempolicy"}
CGROUP_SCOPES = ("container", "pod", "cgroup")


def find_scope(incident: Incident) -> str | None:
    """Return what ran out, in the words of docs/record.md."""
    oom = incident.oom
    if find_by(incident) == SYSRQ:
        return "manual"
    if incident.domain is not None:
        if is_its_own_by_the_pods(incident):
            return "container"
        return _cgroup_scope(incident.domain, incident.victims[0], incident.container.id)
    if oom.constraint is not None:
        return NO_CGROUP.get(oom.constraint)
    # Inferred: no cgroup above the victim was full, so the node was. Without the victim's cgroup
    # nothing was looked at.
    return "node" if incident.inferred and incident.victims[0].cgroup is not None else None


def is_its_own_by_the_pods(incident: Incident) -> bool:
    """Whether the pod's cgroup was full, and its limit is the container's own.

    The kubelet gives a pod the sum of its containers' limits, the sandbox's
    memory counts there too: of a pod with one container the pod's limit is full first, nearly
    always. Nobody shares it.
    """
    domain = incident.domain
    if domain is None or domain.limit_bytes is None or not is_the_pods(incident):
        return False
    return domain.limit_bytes == own_limit_bytes(incident) and bool(others_hold_little(incident))


def _cgroup_scope(domain: Domain, victim: Victim, container_id: str | None) -> str:
    # The id is exact; two paths may have been cut at different names.
    if domain.cgroup_id is not None and domain.cgroup_id == victim.cgroup_id:
        return "container"
    if domain.cgroup is None or victim.cgroup is None:
        return "cgroup"
    identity = parse(victim.cgroup)
    # A unit's limit is its own, whatever cgroups the unit makes below itself.
    if domain.cgroup in (victim.cgroup, own_cgroup(victim.cgroup)):
        return "container"
    # Slurm limits the job, each step and each task.
    job = identity.container_cgroup if identity.runtime == "slurm" else None
    if (
        job is not None
        and victim.cgroup.startswith(f"{domain.cgroup}/")
        and (domain.cgroup.startswith(f"{job}/"))
    ):
        return "container"
    # Where containers nest, the incident may be an outer one's (identity/__init__.py).
    named = parse(domain.cgroup)
    if named.container_cgroup == domain.cgroup and named.container_id == container_id:
        return "container"
    if domain.cgroup == identity.pod_cgroup:
        return "pod"
    return "cgroup"
