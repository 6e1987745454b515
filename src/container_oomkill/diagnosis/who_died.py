# SPDX-License-Identifier: Apache-2.0
"""Who died and for what, in words: every rule that applies adds to the verdict."""

from __future__ import annotations

from ..identity.resolver import parse
from ..incident import kernel_symbols as kernel
from ..incident.model import Candidate, Container, Incident, Stat, Victim
from ..incident.shapes import START_UP
from ..units import duration, size
from .asked import DOING, find_by
from .below import (
    NOTABLE_PERCENT,
    is_notable,
    is_within,
    left_behind_bytes,
    short,
)
from .breakdown import find_breakdown, total
from .limit import is_lowered
from .rule import Rule
from .scope import CGROUP_SCOPES
from .sharing import others

YOUNG_SECONDS = 60
MOST_PERCENT = 50
BY_FAR = 2  # times the next one


def _task(command: str | None, pid: int | None) -> str:
    who = command or "another process"
    return who if pid is None else f"{who} [{pid}]"


def _charged(victim: Victim) -> int | None:
    """What oom_badness() counts, before oom_score_adj."""
    rss = victim.rss.total_bytes()
    if rss is None or victim.swap_bytes is None or victim.pagetables_bytes is None:
        return None
    return rss + victim.swap_bytes + victim.pagetables_bytes


def _another_was_larger(incident: Incident) -> str | None:
    victim = incident.victims[0]
    held, adj = _charged(victim), victim.oom_score_adj
    if held is None or adj is None:
        return None
    larger = [
        (each.rss_bytes, each)
        for each in others(incident)
        if each.rss_bytes is not None
        and each.rss_bytes > held
        and each.oom_score_adj is not None
        and each.oom_score_adj < adj
    ]
    if not larger:
        return None
    bytes_, other = max(larger, key=lambda each: each[0])
    who = _task(other.command, other.pid) + _of_container(other, incident.container)
    return (
        f"{who} held more ({size(bytes_)} against {size(held)}) and was spared for "
        f"its oom_score_adj of {other.oom_score_adj}, against {adj}"
    )


def _of_container(other: Candidate, own: Container) -> str:
    """Which of the pod's containers it is in, where that is another."""
    if other.container is None or other.container in (own.name, own.id):
        return ""
    return f" of {short(other.container)}"


def _in_vain(incident: Incident) -> str | None:
    """What it had resident was charged elsewhere: to a cgroup it was moved from, or to others."""
    domain, victim = incident.domain, incident.victims[0]
    if domain is None or incident.oom.group:
        return None
    held = victim.rss.total_bytes()
    if held is None or not is_notable(held, domain.usage_bytes):
        return None
    if is_within(victim.cgroup, domain.cgroup) is False:
        return f"{_task(victim.command, victim.pid)} is not in that cgroup: its kill freed none"
    same = domain.cgroup_id is not None and domain.cgroup_id == victim.cgroup_id
    here = _most_charged(victim, domain.stat if same or victim.stat is None else victim.stat)
    if here is None or 100 * here >= NOTABLE_PERCENT * held:
        return None
    return (
        f"{victim.command or 'the victim'} had {size(held)} resident, and at most {size(here)} of "
        "it was charged here: its kill could free no more"
    )


def _most_charged(victim: Victim, stat: Stat | None) -> int | None:
    """Kind by kind, what of the process can be charged to a cgroup of that memory.stat."""
    if stat is None:
        return None
    rss = victim.rss
    kinds = (
        (rss.anon_bytes, stat.anon_bytes),
        (rss.file_bytes, stat.cache_bytes()),
        (rss.shmem_bytes, stat.shmem_bytes),
    )
    return total(None if a is None or b is None else min(a, b) for a, b in kinds)


def _young(incident: Incident) -> str | None:
    """Of the container's first process, where its own memory filled its own limit."""
    uptime = _short_life(incident)
    if uptime is None or incident.scope != "container" or incident.oom.group:
        return None
    if not _is_first(incident) or not _is_its_own(incident) or _had_started(incident):
        return None
    return (
        f"the process died {uptime} after its start, so the limit may be below what the start needs"
    )


def _had_started(incident: Incident) -> bool:
    """Whether the flight recorder saw more than a start: it settled, or rose and fell."""
    shape = None if incident.before is None else incident.before.shape
    return shape not in (None, START_UP)


def _is_its_own(incident: Incident) -> bool:
    """Whether the victim's anonymous memory was most of what ran out, and nobody's left there."""
    where, own = find_breakdown(incident), incident.victims[0].rss.anon_bytes
    if where is None or where.usage_bytes is None or own is None:
        return False
    anon = own if not where.of_all else min(own, where.bytes_of("anon") or 0)
    if is_notable(left_behind_bytes(incident), where.usage_bytes):
        return False
    return 100 * anon >= MOST_PERCENT * where.usage_bytes


def _short_lived(incident: Incident) -> str | None:
    uptime = _short_life(incident)
    if uptime is None or _young(incident) is not None:
        return None
    return f"the process died {uptime} after its start"


def _short_life(incident: Incident) -> str | None:
    """How long it lived; None where that says nothing of why."""
    uptime = incident.victims[0].uptime_seconds
    if uptime is None or uptime >= YOUNG_SECONDS or incident.scope not in CGROUP_SCOPES:
        return None
    return None if is_lowered(incident) else duration(uptime)


def _group(incident: Incident) -> str | None:
    count = incident.kills
    if not incident.oom.group or count < 2:
        return None
    words = f"memory.oom.group killed {count} processes together"
    grown = _by_far_the_largest(incident)
    if grown is None:
        return words
    bytes_, victim, rest = grown
    least, most = size(rest[-1]), size(rest[0])
    if incident.unlisted is not None:  # no larger than those, and perhaps smaller
        held = f"each of the others up to {most}"
    elif len(rest) == 1:
        held = f"the other {most}"
    else:
        held = f"each of the others {least if least == most else f'{least} to {most}'}"
    return f"{words}: {_task(victim.command, victim.pid)} held {size(bytes_)}, {held}"


def _by_far_the_largest(incident: Incident) -> tuple[int, Victim, list[int]] | None:
    """Its anonymous memory, it, and what the others had, largest first."""
    domain = incident.domain
    held = [(victim.rss.anon_bytes, victim) for victim in incident.victims]
    known = [(bytes_, victim) for bytes_, victim in held if bytes_ is not None and bytes_ >= 0]
    if domain is None or len(known) < len(held) or len(known) < 2:
        return None
    (bytes_, victim), *rest = sorted(known, key=lambda each: each[0], reverse=True)
    if bytes_ < BY_FAR * rest[0][0] or not is_notable(bytes_, domain.usage_bytes):
        return None
    return bytes_, victim, [each for each, _ in rest]


def _from_outside(incident: Incident) -> str | None:
    """Of who was killed alone, or grew in a group: another had it started in the container."""
    grown = None
    if len(incident.victims) > 1:
        grown = _by_far_the_largest(incident)
        if grown is None:
            return None
    victim = incident.victims[0] if grown is None else grown[1]
    if not victim.from_outside:
        return None
    words = (
        f"{_task(victim.command, victim.pid)} came into the container from outside, as an exec "
        "probe, kubectl exec or docker exec does"
    )
    program = [each for each in incident.victims if each is not victim and _is_its_pid_1(each)]
    if not program or program[0].rss.anon_bytes is None:
        return words
    return f"{words}; the program itself held {size(program[0].rss.anon_bytes)}"


def _is_its_pid_1(victim: Victim) -> bool:
    return victim.pid_in_container == 1 and victim.pid != 1


def _is_first(incident: Incident) -> bool:
    return _is_its_pid_1(incident.victims[0])


def _virtual_machine(incident: Incident) -> str | None:
    """Of a cgroup of Kata's on the host, which has what runs the machine, not what is in it."""
    if incident.container.runtime != "kata":
        return None
    victim = incident.victims[0]
    return (
        f"{_task(victim.command, victim.pid)} ran the sandbox's virtual machine, which all of the "
        "pod's containers are in"
    )


def _first_process(incident: Incident) -> str | None:
    if incident.container.id is None or not _is_first(incident):
        return None
    return "it was PID 1 of its PID namespace, which ends with it"


def _init_container(incident: Incident) -> str | None:
    if incident.container.type != "init":
        return None
    return "it is an init container: the pod does not start before it has succeeded"


def _child(incident: Incident) -> str | None:
    """With a PID namespace of its own, and not its first process: the container goes on."""
    victim = incident.victims[0]
    if incident.oom.group or victim.pid_in_container in (None, 1, victim.pid):
        return None
    if incident.container.id is None:
        return None
    return "the killed process is not PID 1: the container may live on without it"


def _other_container(incident: Incident) -> str | None:
    trigger = incident.trigger
    if trigger.container_id is None or incident.container.id in (None, trigger.container_id):
        return None
    if is_lowered(incident):
        return None  # who asked wrote the limit, and needed no memory
    who = trigger.command or "a process"
    name = None if trigger.container is None else trigger.container.name
    words = f"the memory was asked for by {who} of "
    words += f"{name}, another container" if name else "another container"
    cgroup = incident.victims[0].cgroup
    if trigger.cgroup is not None and cgroup is not None:
        pod = parse(cgroup).pod_cgroup
        if pod is not None and parse(trigger.cgroup).pod_cgroup == pod:
            words += " of the pod"
    doing = DOING.get(find_by(incident) or "")
    return f"{words}, {doing}" if doing else words


def _forking(incident: Incident) -> str | None:
    trigger = incident.trigger
    if find_by(incident) != kernel.FORK:
        return None
    return f"it ran out as {_task(trigger.command, trigger.pid)} started a process or a thread"


WHO_DIED = (
    Rule(
        "forking",
        _forking,
        "Count its processes and threads, and how fast it starts them: each needs memory of the "
        "kernel's, a stack and page tables, that no process is seen to hold.",
    ),
    Rule(
        "another-was-larger",
        _another_was_larger,
        "Look at the larger process first. If the wrong one dies, mend oom_score_adj; in "
        "Kubernetes it follows from the QoS class: requests equal to limits protect.",
    ),
    Rule(
        "in-vain",
        _in_vain,
        "Look for what else is charged there. The kernel compares what processes have resident, "
        "not what is charged to the cgroup; a process that was moved leaves its charge behind.",
    ),
    Rule(
        "young",
        _young,
        "If it dies like this at each start, the limit is too small for starting: raise it, or "
        "have it load less at once.",
    ),
    Rule("short-lived", _short_lived),
    Rule(
        "oom-group",
        _group,
        "Look at the largest of them first. The kubelet sets memory.oom.group since 1.28; its "
        "singleProcessOOMKill (1.32) has only one process killed again.",
    ),
    Rule(
        "from-outside",
        _from_outside,
        "Look at the exec probes of the pod and at who ran kubectl exec or docker exec: what they "
        "start counts against the container's limit. Have a probe ask over HTTP or TCP instead.",
        instead=True,
    ),
    Rule(
        "init-container",
        _init_container,
        "Raise the limit of the init container itself: it is not the one of the containers that "
        "run after it. The scheduler counts the larger of the two, so that it may cost nothing.",
    ),
    Rule(
        "virtual-machine",
        _virtual_machine,
        "Compare Kata's default_memory and the containers' limits with the pod's: the machine's "
        "memory counts on the host with its hypervisor and virtiofsd. What they need beside it is "
        "the RuntimeClass's overhead.podFixed.",
        instead=True,
    ),
    Rule("first-process", _first_process),
    Rule(
        "child",
        _child,
        "Look at the container's log for what it does without that process; nothing else tells "
        "of this kill, as the container's status does not change.",
    ),
    Rule(
        "other-container",
        _other_container,
        "Look at the container that asked as well: what it needs counts against the same limit.",
    ),
)
