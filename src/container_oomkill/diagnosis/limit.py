# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives what there is to know of the limit: lowered, or memory and swap's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..incident.kernel_symbols import LIMIT_WRITE
from .asked import find_by
from .below import is_within

if TYPE_CHECKING:
    from ..incident.model import Domain, Incident

FULL_PERCENT = 95


def is_over(domain: Domain) -> bool:
    usage, limit = domain.usage_bytes, domain.limit_bytes
    return usage is not None and limit is not None and usage > limit


def is_lowered(incident: Incident) -> bool:
    """Whether a write of a lower limit was what asked for a victim.

    The trigger's stack proves it. Without one: charging stops at the limit, but for what may not
    fail (sockets), and the kernel kills in the name of who wrote memory.max. So it held more than
    the limit, and a process outside asked.
    """
    domain, by = incident.domain, find_by(incident)
    if by is not None:
        return by == LIMIT_WRITE
    if domain is None or not is_over(domain):
        return False
    return is_within(incident.trigger.cgroup, domain.cgroup) is False


def both_bytes(domain: Domain | None) -> int | None:
    """The limit of memory and swap together (cgroup v1) where that one was reached, else None.

    ``swap_usage_bytes`` and ``swap_limit_bytes`` are then what the one counter has beyond memory's:
    only there can swap's usage be more than its limit.
    """
    if domain is None:
        return None
    usage, limit = domain.usage_bytes, domain.limit_bytes
    swapped, swap_limit = domain.swap_usage_bytes, domain.swap_limit_bytes
    if usage is None or limit is None or swapped is None or swap_limit is None:
        return None
    full = 100 * (usage + swapped) >= FULL_PERCENT * (limit + swap_limit)
    return limit + swap_limit if usage < limit and swapped > swap_limit and full else None
