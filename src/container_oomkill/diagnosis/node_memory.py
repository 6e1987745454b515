# SPDX-License-Identifier: Apache-2.0
"""Takes an incident that no cgroup's limit caused, gives what its victim held beside its charge."""

from __future__ import annotations

from ..incident.model import Incident

NO_CGROUP_SCOPES = ("node", "cpuset", "mempolicy")
LEAST_BYTES = 32 << 20  # libraries that were charged to who read them first are no remark
LEAST_SHARE = 100  # of what ran out, a hundredth


def uncharged_bytes(incident: Incident) -> int | None:
    """What the victim has resident as files beyond its cgroup's charge; None where that is little.

    Pages that a driver maps into a process (AF_PACKET and XDP rings, device memory) count as its
    files, and as nobody's charge. No cgroup's usage clears who holds them.
    """
    victim = incident.victims[0]
    if incident.scope not in NO_CGROUP_SCOPES or victim.usage_bytes is None:
        return None
    if victim.rss.file_bytes is None:
        return None
    charged = victim.usage_bytes
    if victim.stat is not None and (cache := victim.stat.cache_bytes()) is not None:
        charged = min(charged, cache)
    beyond = victim.rss.file_bytes - charged
    least = max(LEAST_BYTES, (incident.oom.total_bytes or 0) // LEAST_SHARE)
    return beyond if beyond >= max(least, victim.usage_bytes) else None
