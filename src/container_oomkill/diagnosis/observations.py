# SPDX-License-Identifier: Apache-2.0
"""What else there is to know, in words: every rule that applies adds to the verdict."""

from __future__ import annotations

from ..identity.resolver import parse
from ..incident.model import Candidate, Incident, Victim
from ..units import duration, size
from .memory_kinds import NOTABLE_PERCENT, percent
from .rule import Rule
from .scope import CGROUP_SCOPES

LOWERED_PERCENT = 105  # usage against the limit; a forced charge may pass it by a little
FULL_PERCENT = 95
YOUNG_SECONDS = 60
MANY_PROCESSES = 8
PIECES_ORDER = 2  # from here on free memory may be there, and in too small pieces
BY_ALLOCATING_TASK = "(oom_kill_allocating_task)"  # in the kernel's message, mm/oom_kill.c


def _limit_lowered(incident: Incident) -> str | None:
    domain = incident.domain
    if domain is None or domain.usage_bytes is None:
        return None
    share = percent(domain.usage_bytes, domain.limit_bytes)
    if share is None or share < LOWERED_PERCENT:
        return None
    return f"it held {size(domain.usage_bytes)}: the limit was apparently lowered while it ran"


def _others(incident: Incident) -> list[Candidate]:
    pids = {victim.pid for victim in incident.victims}
    return [each for each in incident.candidates or () if each.pid not in pids]


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
        for each in _others(incident)
        if each.rss_bytes is not None
        and each.rss_bytes > held
        and each.oom_score_adj is not None
        and each.oom_score_adj < adj
    ]
    if not larger:
        return None
    bytes_, other = max(larger, key=lambda each: each[0])
    who = other.command or "another process"
    if other.pid is not None:
        who += f" [{other.pid}]"
    return (
        f"{who} held more ({size(bytes_)} against {size(held)}) and was spared for "
        f"its oom_score_adj of {other.oom_score_adj}, against {adj}"
    )


def _neighbours(incident: Incident) -> str | None:
    victim, domain = incident.victims[0], incident.domain
    if incident.scope not in ("pod", "cgroup") or domain is None or victim.usage_bytes is None:
        return None
    share = percent(victim.usage_bytes, domain.usage_bytes)
    if share is None or share >= 50:
        return None
    return f"its own cgroup held {size(victim.usage_bytes)} of that, the rest is its neighbours'"


def _many_processes(incident: Incident) -> str | None:
    domain = incident.domain
    if domain is None:
        return None
    held = [
        *((victim.rss.total_bytes(), victim.command) for victim in incident.victims),
        *((each.rss_bytes, each.command) for each in _others(incident)),
    ]
    known = [(bytes_, command) for bytes_, command in held if bytes_ is not None]
    if len(known) < MANY_PROCESSES or len(known) < len(held):
        return None
    anon = None if domain.stat is None else percent(domain.stat.anon_bytes, domain.usage_bytes)
    if anon is not None and anon < NOTABLE_PERCENT:
        return None  # it is no process's memory at all
    bytes_, command = max(known, key=lambda each: each[0])
    share = percent(bytes_, domain.usage_bytes)
    if share is None or share >= NOTABLE_PERCENT:
        return None
    return (
        f"there were {len(known)} processes or more and none is large: the largest, "
        f"{command or 'unnamed'}, held {size(bytes_)}"
    )


def _swap_full(incident: Incident) -> str | None:
    domain = incident.domain
    if domain is None or not domain.swap_limit_bytes:
        return None
    share = percent(domain.swap_usage_bytes, domain.swap_limit_bytes)
    if share is None or share < FULL_PERCENT:
        return None
    return f"its swap ({size(domain.swap_limit_bytes)}) is full too"


def _allocating_task(incident: Incident) -> str | None:
    if BY_ALLOCATING_TASK not in (incident.message or ""):
        return None
    return "vm.oom_kill_allocating_task had the process killed that asked, whatever it held"


def _contiguous(incident: Incident) -> str | None:
    order = incident.oom.order
    if order is None or order < PIECES_ORDER or incident.scope in (None, *CGROUP_SCOPES):
        return None
    return (
        f"{1 << min(order, 63)} pages in one piece (order {order}) were asked for: free memory may "
        "have been there, in smaller pieces"
    )


def _young(incident: Incident) -> str | None:
    victim = incident.victims[0]
    uptime = victim.uptime_seconds
    if uptime is None or uptime >= YOUNG_SECONDS or incident.scope not in CGROUP_SCOPES:
        return None
    words = f"it died {duration(uptime)} after its start"
    if _is_first(incident):  # a child may be young where the container is old
        words += ", so the limit may be below what the start needs"
    return words


def _group(incident: Incident) -> str | None:
    if not incident.oom.group or len(incident.victims) < 2:
        return None
    return f"memory.oom.group killed {len(incident.victims)} processes together"


def _is_first(incident: Incident) -> bool:
    victim = incident.victims[0]
    return victim.pid_in_container == 1 and victim.pid != 1


def _first_process(incident: Incident) -> str | None:
    if incident.container.id is None or not _is_first(incident):
        return None
    return "it was PID 1 of its PID namespace, which ends with it"


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
    words = f"the memory was asked for by {trigger.command or 'a process'} of another container"
    cgroup = incident.victims[0].cgroup
    if trigger.cgroup is None or cgroup is None:
        return words
    pod = parse(cgroup).pod_cgroup
    same = pod is not None and parse(trigger.cgroup).pod_cgroup == pod
    return f"{words} of the pod" if same else words


OBSERVATIONS = (
    Rule(
        "limit-lowered",
        _limit_lowered,
        "Find out who wrote memory.max: a resize to less than is used kills at once.",
    ),
    Rule(
        "another-was-larger",
        _another_was_larger,
        "Look at the larger process first. If the wrong one dies, mend oom_score_adj; in "
        "Kubernetes it follows from the QoS class: requests equal to limits protect.",
    ),
    Rule(
        "neighbours",
        _neighbours,
        "Look at the other cgroups below the limit, and at what they hold, before this one.",
    ),
    Rule(
        "many-processes",
        _many_processes,
        "Count the processes: bound the workers, or the number of processes (pids.max).",
    ),
    Rule(
        "swap-full",
        _swap_full,
        "Swap only put it off: look at what grows. More of it buys time.",
    ),
    Rule(
        "allocating-task",
        _allocating_task,
        "Set vm.oom_kill_allocating_task to 0 to have the largest process killed instead.",
    ),
    Rule(
        "contiguous",
        _contiguous,
        "Look at /proc/buddyinfo for fragmentation, and raise vm.min_free_kbytes.",
    ),
    Rule(
        "young",
        _young,
        "If it dies like this at each start, the limit is too small for starting: raise it, or "
        "have it load less at once.",
    ),
    Rule("oom-group", _group),
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
