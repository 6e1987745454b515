# SPDX-License-Identifier: Apache-2.0
"""What a `Stuck`'s container is called, and whether a `Query` asks for it."""

from __future__ import annotations

from ..stuck.model import Stuck
from .names import UNKNOWN, container_name, workload_of
from .query import ID_MIN, NAMES, Query


def stuck_name(stuck: Stuck) -> str:
    """namespace/pod/container, as far as they are known."""
    container = stuck.container
    name = container_name(container, stuck.cgroup)
    return "/".join(filter(None, (container.namespace, container.pod, name))) or (
        f"{UNKNOWN} container"
    )


def stuck_matches(query: Query, stuck: Stuck) -> bool:
    """A scope is what a kill was for, so whoever asks for one asks for none of these."""
    if query.scope:
        return False
    if query.cgroup and query.cgroup.strip("/") not in (stuck.cgroup or ""):
        return False
    container = stuck.container
    named = {
        "namespace": container.namespace,
        "pod": container.pod,
        "container": container_name(container, stuck.cgroup),
        "workload": workload_of(container, stuck.cgroup),
        "node": stuck.node,
    }
    for key in NAMES:
        wanted = (getattr(query, key) or "").lower()
        by_id = key == "container" and len(wanted) >= ID_MIN
        if by_id and (container.id or "").startswith(wanted):
            continue
        if wanted not in (named[key] or "").lower():
            return False
    return True
