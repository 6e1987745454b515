# SPDX-License-Identifier: Apache-2.0
"""What ran out, in words: the first rule that applies opens the verdict."""

from __future__ import annotations

from ..incident.model import Domain, Incident
from ..units import size
from .rule import Rule


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
    if incident.scope != "cpuset":
        return None
    return "the memory nodes of its cpuset ran out: look at cpuset.mems, not at a memory limit"


def _mempolicy(incident: Incident) -> str | None:
    if incident.scope != "mempolicy":
        return None
    return "the memory nodes its NUMA policy allows ran out: look at numactl or set_mempolicy"


def _own_limit(incident: Incident) -> str | None:
    if incident.scope != "container" or incident.domain is None:
        return None
    return f"its own limit{_limit(incident.domain)}"


def _pod_limit(incident: Incident) -> str | None:
    if incident.scope != "pod" or incident.domain is None:
        return None
    return f"its pod's limit{_limit(incident.domain)}, shared by all of the pod's containers"


def _parent_limit(incident: Incident) -> str | None:
    domain = incident.domain
    if incident.scope != "cgroup" or domain is None:
        return None
    where = f" {domain.cgroup}" if domain.cgroup else ""
    return f"the limit{_limit(domain)} of the cgroup{where} above it"


def _limit(domain: Domain) -> str:
    return "" if domain.limit_bytes is None else f" ({size(domain.limit_bytes)})"


CAUSES = (
    Rule("sysrq", _manual, "Ask who wrote f to /proc/sysrq-trigger or pressed the keys for it."),
    Rule(
        "node",
        _node,
        "Look at what else runs on the node: its memory is overcommitted. Raise the requests of "
        "its pods to what they use, or move some of them away.",
    ),
    Rule("cpuset", _cpuset, "Compare cpuset.mems of its cgroup with the memory of those nodes."),
    Rule("mempolicy", _mempolicy, "Look for numactl --membind, mbind or set_mempolicy."),
    Rule(
        "own-limit",
        _own_limit,
        "Compare the limit with what it needs at its busiest; raise it, or find what grew.",
    ),
    Rule(
        "pod-limit",
        _pod_limit,
        "Add up what all containers of the pod use, memory-backed volumes included; the pod's "
        "limit is the sum of theirs unless it was set itself.",
    ),
    Rule(
        "parent-limit",
        _parent_limit,
        "Look at everything below that cgroup: its limit holds for all of it together.",
    ),
)
