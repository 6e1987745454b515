# SPDX-License-Identifier: Apache-2.0
"""Takes an incident whose container is known, gives it with its scope and its verdict.

The verdict is one sentence an on-call engineer can act on, from the first rule of `RULES` that
applies, and the remarks of `REMARKS` that do. Every rule asks for the numbers it uses: what is
unknown is never counted as 0, and what was inferred is said to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .identity import parse
from .incident import Domain, Incident, Victim
from .units import duration, size

# enum oom_constraint -> scope, where the limit is not a cgroup's
NO_CGROUP = {"none": "node", "cpuset": "cpuset", "memory_policy": "mempolicy"}
SYSRQ_ORDER = -1


def explain(incident: Incident) -> Incident:
    """Return the incident with ``scope`` and ``verdict`` filled in, as far as they are known."""
    incident = incident.changed(scope=find_scope(incident))
    return incident.changed(verdict=find_verdict(incident))


def find_scope(incident: Incident) -> str | None:
    """Return what ran out, in the words of docs/record.md."""
    oom = incident.oom
    if oom.order == SYSRQ_ORDER:
        return "manual"
    if incident.domain is not None:
        return _cgroup_scope(incident.domain, incident.victims[0], incident.container.id)
    if oom.constraint is not None:
        return NO_CGROUP.get(oom.constraint)
    # Inferred: no cgroup above the victim was full, so the node was. Without the victim's cgroup
    # nothing was looked at.
    return "node" if incident.inferred and incident.victims[0].cgroup is not None else None


def _cgroup_scope(domain: Domain, victim: Victim, container_id: str | None) -> str:
    # The id is exact; two paths may have been cut at different names.
    if domain.cgroup_id is not None and domain.cgroup_id == victim.cgroup_id:
        return "container"
    if domain.cgroup is None or victim.cgroup is None:
        return "cgroup"
    identity = parse(victim.cgroup)
    if domain.cgroup in (victim.cgroup, identity.container_cgroup):
        return "container"
    # Where containers nest, the incident may be an outer one's (identity/__init__.py).
    named = parse(domain.cgroup)
    if named.container_cgroup == domain.cgroup and named.container_id == container_id:
        return "container"
    if domain.cgroup == identity.pod_cgroup:
        return "pod"
    return "cgroup"


Rule = Callable[[Incident], str | None]


def _manual(incident: Incident) -> str | None:
    if incident.scope != "manual":
        return None
    return "somebody asked for it with sysrq-f: memory need not have run out"


def _node(incident: Incident) -> str | None:
    if incident.scope != "node":
        return None
    victim = incident.victims[0]
    if victim.usage_bytes is None:
        return "the node ran out of memory, not a cgroup"
    used = size(victim.usage_bytes)
    if victim.limit_bytes is None:
        return f"the node ran out of memory; this cgroup used {used} and has no limit of its own"
    this = "this container" if incident.container.id else "this cgroup"
    return (
        f"the node ran out of memory, not {this}: it used {used} of its {size(victim.limit_bytes)}"
    )


def _cpuset(incident: Incident) -> str | None:
    if incident.scope == "cpuset":
        return "the memory nodes of its cpuset ran out: look at cpuset.mems, not at a memory limit"
    if incident.scope == "mempolicy":
        return "the memory nodes its NUMA policy allows ran out: look at numactl or set_mempolicy"
    return None


def _own_limit(incident: Incident) -> str | None:
    if incident.scope != "container" or incident.domain is None:
        return None
    return f"its own limit{_limit(incident.domain)}{_where_it_was(incident)}"


def _pod_limit(incident: Incident) -> str | None:
    if incident.scope != "pod" or incident.domain is None:
        return None
    return f"its pod's limit{_limit(incident.domain)}, shared by all of the pod's containers" + (
        _where_it_was(incident)
    )


def _parent_limit(incident: Incident) -> str | None:
    domain = incident.domain
    if incident.scope != "cgroup" or domain is None:
        return None
    where = f" {domain.cgroup}" if domain.cgroup else ""
    return f"the limit{_limit(domain)} of the cgroup{where} above it" + _where_it_was(incident)


RULES: tuple[Rule, ...] = (_manual, _node, _cpuset, _own_limit, _pod_limit, _parent_limit)


def _limit(domain: Domain) -> str:
    return "" if domain.limit_bytes is None else f" ({size(domain.limit_bytes)})"


def _where_it_was(incident: Incident) -> str:
    """The largest kind of memory of what was killed, against what ran out."""
    domain = incident.domain
    # A group dies as one: its first process says little of what it held.
    killed = incident.victims if incident.oom.group else incident.victims[:1]
    if domain is None or not domain.usage_bytes:
        return ""
    kinds = {
        "anonymous memory": _sum(victim.rss.anon_bytes for victim in killed),
        "shared memory or tmpfs": _sum(victim.rss.shmem_bytes for victim in killed),
        "page tables": _sum(victim.pagetables_bytes for victim in killed),
    }
    known = {kind: bytes_ for kind, bytes_ in kinds.items() if bytes_ is not None}
    if not known:
        return ""
    kind, most = max(known.items(), key=lambda item: item[1])
    share = 100 * most // domain.usage_bytes
    name = killed[0].command or "the victim"
    itself = " itself"
    if len(killed) > 1:
        itself = ""
        name = f"the {len(killed)} processes killed"
    if share > 100:  # pages charged elsewhere, or shared: no share of this
        return f": {name} had {size(most)} of {kind}"
    if share < 25:
        return (
            f": {name}{itself} held little of it ({size(most)} of {size(domain.usage_bytes)}), "
            "so look at its neighbours, at tmpfs and at kernel memory"
        )
    return f": {share} % is {kind} of {name}"


def _sum(sizes: Iterable[int | None]) -> int | None:
    """With one of them unknown, so is the sum."""
    known = list(sizes)
    return None if None in known else sum(filter(None, known))


def _quick(incident: Incident) -> str | None:
    uptime = incident.victims[0].uptime_seconds
    if uptime is None or uptime >= 60 or incident.scope not in ("container", "pod", "cgroup"):
        return None
    return f"it died {duration(uptime)} after its start"


def _group(incident: Incident) -> str | None:
    if not incident.oom.group or len(incident.victims) < 2:
        return None
    return f"memory.oom.group killed {len(incident.victims)} processes together"


def _child(incident: Incident) -> str | None:
    """With a PID namespace of its own, and not its first process: the container goes on."""
    victim = incident.victims[0]
    if incident.oom.group or victim.pid_in_container in (None, 1, victim.pid):
        return None
    if incident.container.id is None:
        return None
    return "the killed process is not PID 1: the container may live on without it"


def _other_trigger(incident: Incident) -> str | None:
    trigger = incident.trigger
    if trigger.container_id is None or incident.container.id in (None, trigger.container_id):
        return None
    return f"the memory was asked for by {trigger.command or 'a process'} of another container"


REMARKS: tuple[Rule, ...] = (_quick, _group, _child, _other_trigger)


def find_verdict(incident: Incident) -> str | None:
    """Return the sentence; None where nothing is known of the cause."""
    cause = next(filter(None, (rule(incident) for rule in RULES)), None)
    if cause is None:
        return None
    if incident.inferred:
        cause = f"apparently {cause}"
    return "; ".join([cause, *filter(None, (remark(incident) for remark in REMARKS))])
