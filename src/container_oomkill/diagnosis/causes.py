# SPDX-License-Identifier: Apache-2.0
"""What ran out, in words: the first rule that applies opens the verdict."""

from __future__ import annotations

from ..incident.model import Domain, Incident
from ..units import size
from .below import CUT, is_notable, others_hold_little, own_limit_bytes, percent
from .limit import both_bytes
from .node_memory import uncharged_bytes
from .rule import Rule

RAW_TRACEPOINT = "raw_tracepoint"  # the hook that is not told what ran out


def _manual(incident: Incident) -> str | None:
    if incident.scope != "manual":
        return None
    return "somebody asked for it with sysrq-f: memory need not have run out"


def _node(incident: Incident) -> str | None:
    """As cleared by its charge as that goes: it may have held what is charged to nobody."""
    if incident.scope != "node":
        return None
    victim, whole = incident.victims[0], incident.oom.total_bytes
    if victim.usage_bytes is None:
        return "the node ran out of memory, not a cgroup"
    used, limit = size(victim.usage_bytes), victim.limit_bytes
    this = "this container" if incident.container.id else "this cgroup"
    of = "and has no limit of its own" if limit is None else f"of its {size(limit)}"
    share = percent(victim.usage_bytes, whole)
    if share is not None and whole and is_notable(victim.usage_bytes, whole) and share <= 100:
        part = f"{this} used {used} {of}, {share} % of the node's {size(whole)}, swap included"
        return f"the node ran out of memory: {part}"
    if limit is None or uncharged_bytes(incident) is not None:
        return f"the node ran out of memory; {this} used {used} {of}"
    return f"the node ran out of memory, not {this}: it used {used} {of}"


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
    domain = incident.domain
    if incident.scope != "pod" or domain is None:
        return None
    words = f"its pod's limit{_limit(domain)}"
    alone = domain.limit_bytes is not None and domain.limit_bytes == own_limit_bytes(incident)
    if others_hold_little(incident) or (alone and domain.children is None):
        return words
    return f"{words}, shared by all of the pod's containers"


def _parent_limit(incident: Incident) -> str | None:
    domain = incident.domain
    if incident.scope != "cgroup" or domain is None:
        return None
    where = f" {domain.cgroup}" if domain.cgroup else ""
    return f"the limit{_limit(domain)} of the cgroup{where} above it"


def _limit(domain: Domain) -> str:
    if (both := both_bytes(domain)) is not None:
        return f" of memory and swap together ({size(both)})"
    return "" if domain.limit_bytes is None else f" ({size(domain.limit_bytes)})"


def _unknown(incident: Incident) -> str | None:
    """Where the one hook there was is told nothing, and what it saw proves nothing."""
    oom, cgroup = incident.oom, incident.victims[0].cgroup
    if incident.scope is not None or incident.inferred or incident.domain is not None:
        return None
    if incident.hook != RAW_TRACEPOINT or cgroup is None:
        return None
    if oom.constraint is not None or oom.order is not None:
        return None
    if CUT in cgroup.split("/"):
        return "what ran out is not known: not all of the cgroups above it were looked at"
    return (
        "what ran out is not known: a cgroup was close to its limit, and nothing shows that it "
        "was reached"
    )


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
    Rule(
        "unknown",
        _unknown,
        'Look for "oom-kill:" in the kernel\'s log of that moment (dmesg): its constraint and '
        "oom_memcg say what ran out.",
    ),
)
