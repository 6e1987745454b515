# SPDX-License-Identifier: Apache-2.0
"""What else there is to know of what ran out, in words: every rule that applies adds its own."""

from __future__ import annotations

from ..incident.model import Child, Incident
from ..units import size
from .below import (
    LITTLE_BYTES,
    NOTABLE_PERCENT,
    called,
    is_notable,
    is_the_pods,
    is_tmpfs,
    left_behind_bytes,
    neighbours,
    own_limit_bytes,
    own_usage_bytes,
    percent,
)
from .enough import ENOUGH
from .limit import FULL_PERCENT, both_bytes, is_lowered
from .node_memory import uncharged_bytes
from .node_rules import NODE_RULES
from .rule import Rule
from .scope import CGROUP_SCOPES
from .shape_rules import SHAPE_RULES
from .sharing import others
from .who_died import WHO_DIED

MANY_PROCESSES = 8
NEIGHBOURS_SHOWN = 3
PIECES_ORDER = 2  # from here on free memory may be there, and in too small pieces
BY_ALLOCATING_TASK = "(oom_kill_allocating_task)"  # in the kernel's message, mm/oom_kill.c


def _limit_lowered(incident: Incident) -> str | None:
    domain, trigger = incident.domain, incident.trigger
    if domain is None or domain.usage_bytes is None or not is_lowered(incident):
        return None
    who = trigger.command or "another process"
    if trigger.command and trigger.pid is not None:
        who += f" [{trigger.pid}]"
    return f"{who} lowered the limit to less than was in use ({size(domain.usage_bytes)})"


def _not_resized(incident: Incident) -> str | None:
    """The kubelet makes a pod's limit the sum of its containers'; none may be above a pod's own."""
    domain, own = incident.domain, own_limit_bytes(incident)
    if domain is None or domain.limit_bytes is None or own is None or not is_the_pods(incident):
        return None
    if own <= domain.limit_bytes:
        return None
    return (
        f"the container's own limit is higher ({size(own)}): a resize has reached it, and not the "
        "pod's cgroup"
    )


def _memory_and_swap(incident: Incident) -> str | None:
    domain = incident.domain
    if domain is None or both_bytes(domain) is None:
        return None
    return f"{size(domain.swap_usage_bytes or 0)} of that was in swap"


def _left_behind(incident: Incident) -> str | None:
    domain, left = incident.domain, left_behind_bytes(incident)
    if domain is None or left is None or not is_notable(left, domain.usage_bytes):
        return None
    pod = is_the_pods(incident)
    if domain.stat is None or domain.stat.gone_bytes is None:
        where = "charged to the pod, but not to this container"
        how = "apparently "
    else:
        living = "container" if pod else "cgroup"
        where = f"charged to {'the pod' if pod else 'it'} by no living {living}"
        how = ""
    if is_tmpfs(incident, left):
        what = f"{how}files in tmpfs left by an earlier one"
        return f"{size(left)} is {where}: {what}; raising the limit only postpones it"
    return f"{size(left)} is {where}: {how}left by an earlier one"


def _neighbours(incident: Incident) -> str | None:
    """Who else below the limit held how much, by name, where the kernel side read that."""
    domain, own = incident.domain, own_usage_bytes(incident)
    if incident.scope not in ("pod", "cgroup") or domain is None or own is None:
        return None
    share = percent(own, domain.usage_bytes)
    if share is None:
        return None
    known = neighbours(incident) or ()
    large = [each for each in known if is_notable(each.usage_bytes, domain.usage_bytes)]
    if large:
        shown = large[:NEIGHBOURS_SHOWN]
        return f"its own cgroup held {size(own)} of that, {', '.join(map(_held, shown))}"
    if share >= 50 or is_notable(left_behind_bytes(incident), domain.usage_bytes):
        return None
    words = f"its own cgroup held {size(own)} of that"
    some = [each for each in known if (each.usage_bytes or 0) > LITTLE_BYTES]
    if some:
        count = f"{len(some)} others" if len(some) > 1 else "one other"
        words += f", {count} up to {size(some[0].usage_bytes or 0)}"
    return words


def _held(child: Child) -> str:
    return f"{called(child)} {size(child.usage_bytes or 0)}"


def _many_processes(incident: Incident) -> str | None:
    domain = incident.domain
    if domain is None:
        return None
    held = [
        *((victim.rss.total_bytes(), victim.command) for victim in incident.victims),
        *((each.rss_bytes, each.command) for each in others(incident)),
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
    count = len(known) + incident.kills - len(incident.victims)
    return (
        f"there were {count} processes or more and none is large: the largest, "
        f"{command or 'unnamed'}, held {size(bytes_)}"
    )


def _swap_full(incident: Incident) -> str | None:
    domain = incident.domain
    if domain is None or not domain.swap_limit_bytes or both_bytes(domain) is not None:
        return None
    share = percent(domain.swap_usage_bytes, domain.swap_limit_bytes)
    if share is None or share < FULL_PERCENT:
        return None
    return f"its swap ({size(domain.swap_limit_bytes)}) is full too"


def _uncharged(incident: Incident) -> str | None:
    beyond = uncharged_bytes(incident)
    if beyond is None:
        return None
    who = incident.victims[0].command or "the victim"
    return (
        f"{who} held {size(beyond)} that no cgroup is charged for, as far as is known: packet "
        "rings, device memory or the like"
    )


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


OBSERVATIONS = (
    Rule(
        "limit-lowered",
        _limit_lowered,
        "Look at who wrote memory.max, and why (a resize, docker update, systemctl "
        "set-property): a limit below what is used kills at once.",
        instead=True,
    ),
    Rule(
        "not-resized",
        _not_resized,
        "Resize the pod once more while its containers run, or delete it: the kubelet raised the "
        "container's limit without the pod's, as for one that waits for its restart (kubernetes "
        "issue 138760).",
        instead=True,
    ),
    Rule(
        "memory-and-swap",
        _memory_and_swap,
        "It is memory.memsw.limit_in_bytes that was reached (docker run --memory-swap), not the "
        "limit of memory alone: raise that one, or find what grew.",
    ),
    Rule(
        "left-behind",
        _left_behind,
        "Delete what is left in the pod's memory-backed volumes, or the pod itself: a restart of "
        "the container frees none of it. Have the program clean up at its start.",
        instead=True,
    ),
    *NODE_RULES,
    Rule(
        "uncharged",
        _uncharged,
        "Look at what the process maps (/proc/PID/smaps): AF_PACKET or XDP rings, RDMA, GPU and "
        "other device memory count against no limit. Make the rings smaller.",
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
    *SHAPE_RULES,
    ENOUGH,
    *WHO_DIED,
)
