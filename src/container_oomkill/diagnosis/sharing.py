# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives what several processes had of the same memory, as far as that shows.

A process's resident memory counts each page it maps, whoever else maps it. What is charged counts
each page once.
"""

from __future__ import annotations

from ..incident.model import Candidate, Incident, Victim
from ..incident.wire import lib

SHARED_PERCENT = 125  # what all had resident against what was charged, to call it shared
FAR_PERCENT = 150  # one process's own beyond that is charged elsewhere
COVERED_PERCENT = 90
MOSTLY_PERCENT = 75


def others(incident: Incident) -> list[Candidate]:
    """The processes that the kernel looked at and that live on."""
    pids = {victim.pid for victim in incident.victims}
    return [each for each in incident.candidates or () if each.pid not in pids]


def after_fork(incident: Incident, anon: int) -> int | None:
    """How many processes had the domain's anonymous memory between them, more than there is.

    Of a candidate the kinds are unknown: its files are taken to be as many as the victim's, and
    all of the domain's shmem to be mapped by it. None where nothing shows that any is shared.
    """
    stat = None if incident.domain is None else incident.domain.stat
    victim = incident.victims[0]
    shmem = None if stat is None else stat.shmem_bytes
    held = [each.rss.anon_bytes for each in incident.victims]
    if victim.rss.file_bytes is not None and shmem is not None:
        for each in others(incident):
            if each.rss_bytes is not None:
                least = each.rss_bytes - victim.rss.file_bytes - shmem
                held.append(least if 100 * least <= FAR_PERCENT * anon else 0)
    # One's own may be charged elsewhere.
    known = [min(bytes_, anon) for bytes_ in held if bytes_ is not None and bytes_ > 0]
    count, whole = len(known), sum(known)
    if (rest := incident.unlisted) is not None and rest.rss.anon_bytes:
        count, whole = count + rest.victims, whole + rest.rss.anon_bytes
    if count < 2 or 100 * whole < SHARED_PERCENT * anon:
        return None
    return count


def mapper(incident: Incident) -> Victim:
    """The process among the killed that maps the most shared memory."""
    died = incident.victims if incident.oom.group else incident.victims[:1]
    return max(died, key=lambda victim: victim.rss.shmem_bytes or 0)


def is_mapped(incident: Incident, shmem: int) -> bool:
    """Whether one process maps as much shared memory as there is: then that is no mere file."""
    return 100 * (mapper(incident).rss.shmem_bytes or 0) >= COVERED_PERCENT * shmem


def is_unmapped(incident: Incident, shmem: int) -> bool:
    """Whether no process known of can map more than a little of it, and all are known."""
    held = [each.rss.shmem_bytes for each in incident.victims]
    if incident.candidates is None or len(incident.candidates) >= lib.OOMKILL_CANDIDATES - 1:
        return False
    held += [each.rss_bytes for each in others(incident)]
    if incident.unlisted is not None:
        held.append(incident.unlisted.rss.shmem_bytes)
    if None in held:
        return False
    return 100 * sum(filter(None, held)) <= (100 - MOSTLY_PERCENT) * shmem
