# SPDX-License-Identifier: Apache-2.0
"""Takes the last incident that the node's memory ran out for, gives samples: what held it, and who.

Bounded: so many kinds, and the five largest by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..sinks.names import counted_as

if TYPE_CHECKING:
    from ..incident.model import Incident

HOLDERS = 5
KINDS = (
    *("total", "free", "anon", "file", "shmem", "slab_reclaimable", "slab_unreclaimable"),
    *("kernel_stack", "pagetables", "percpu", "vmalloc", "hugetlb", "zswap", "unaccounted"),
    *("charged", "host", "other_cgroups", "gone"),
)
Samples = Iterator[tuple[tuple[str, ...], float]]


def kinds(incident: Incident | None) -> Samples:
    """Bytes by kind; what is unknown has no sample."""
    memory = None if incident is None else incident.node_memory
    for kind in KINDS if memory is not None else ():
        held = getattr(memory, f"{kind}_bytes")
        if held is not None:
            yield (kind,), held


def holders(incident: Incident | None) -> Samples:
    """Bytes by namespace, pod and container, the largest."""
    memory = None if incident is None else incident.node_memory
    held: dict[tuple[str, ...], int] = {}
    for row in (memory.cgroups if memory is not None else None) or ():
        labels = counted_as(row.container, row.cgroup)
        if row.usage_bytes is not None and (labels in held or len(held) < HOLDERS):
            held[labels] = held.get(labels, 0) + row.usage_bytes
    yield from held.items()


def when(incident: Incident | None) -> Samples:
    """Seconds since the epoch."""
    if incident is not None:
        yield (), incident.time
