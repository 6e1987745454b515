# SPDX-License-Identifier: Apache-2.0
"""Shared memory, in words: what a process maps, what lies in tmpfs, what a sandbox keeps in it."""

from __future__ import annotations

from dataclasses import replace

from ..incident.model import Incident, Victim
from ..units import size
from .below import is_notable
from .breakdown import Breakdown
from .kind_rule import kind_rule
from .sharing import is_mapped, is_unmapped, mapper

# gVisor's, which runs a container's programs in itself: their heap is its shared memory.
SANDBOX = "runsc-sandbox"
SANDBOX_BY_EXE = "exe"  # as it calls itself where it was started by /proc/self/exe
HALF = 2


def _is_sandbox(victim: Victim) -> bool:
    shmem, total = victim.rss.shmem_bytes, victim.rss.total_bytes()
    if victim.command != SANDBOX_BY_EXE:
        return victim.command == SANDBOX
    return shmem is not None and total is not None and HALF * shmem > total


def _sandbox(incident: Incident, breakdown: Breakdown) -> str | None:
    if not _is_sandbox(incident.victims[0]):
        return None
    return OF_SANDBOX.says(incident, breakdown)


def _mapped(incident: Incident, breakdown: Breakdown) -> str | None:
    shmem = MAPPED.weighs(breakdown)
    words = MAPPED.says(incident, breakdown)
    if words is None or shmem is None or not breakdown.of_all or _is_sandbox(incident.victims[0]):
        return None
    if not is_mapped(incident, shmem):
        return None
    by = mapper(incident).command or "the victim"
    return f"{words} mapped by {by} (shared_buffers, shared anonymous, System V)"


def _tmpfs(incident: Incident, breakdown: Breakdown) -> str | None:
    """What may be files in tmpfs, as far as no process is known to map it."""
    words, shmem = TMPFS.says(incident, breakdown), TMPFS.weighs(breakdown)
    if words is None or shmem is None or _is_sandbox(incident.victims[0]):
        return None
    if breakdown.of_all:
        if is_mapped(incident, shmem):
            return None
        most = mapper(incident)
        if is_unmapped(incident, shmem):
            words += ", most of it mapped by no process"
        elif is_notable(most.rss.shmem_bytes, shmem):
            mapped = size(most.rss.shmem_bytes or 0)
            words += f", {mapped} of it mapped by {most.command or 'the victim'}"
    volumes = "tmpfs mounts"
    if incident.scope == "pod" or incident.container.pod or incident.container.pod_uid:
        volumes = "memory-backed emptyDir volumes"
    return f"{words} (look at {volumes} and /dev/shm)"


TMPFS = kind_rule(
    "tmpfs",
    "shmem",
    "shared memory or tmpfs",
    "Run df on tmpfs mounts, memory-backed emptyDir volumes and /dev/shm: files there are memory "
    "until they are deleted. Give them a sizeLimit. A restart alone may not free them.",
)
MAPPED = kind_rule(
    "shared-mapping",
    "shmem",
    "shared memory",
    "Compare with the setting that sizes it (shared_buffers, an arena, a queue): all of it counts "
    "once against the limit, beside what each process has of its own. ipcs -m and the maps in "
    "/proc show whose it is.",
)
OF_SANDBOX = kind_rule(
    "sandbox",
    "shmem",
    "memory of the sandbox's programs, which gVisor keeps as shared memory",
    "Look at the programs inside of the sandbox: their heap is its shared memory, and only it "
    "tells them apart (runsc ps, runsc debug).",
)
SHARED_KINDS = (
    replace(OF_SANDBOX, says=_sandbox),
    replace(MAPPED, says=_mapped),
    replace(TMPFS, says=_tmpfs),
)
