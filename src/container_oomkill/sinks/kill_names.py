# SPDX-License-Identifier: Apache-2.0
"""What a `Kill`'s container is called, as that of an incident is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .name_filters import Subject
from .names import UNKNOWN, Key, container_name, counted_as, owner_of

if TYPE_CHECKING:
    from ..killers.model import Kill


def kill_name(kill: Kill) -> str:
    """namespace/pod/container, as far as they are known."""
    container = kill.container
    name = container_name(container, kill.target.cgroup)
    return "/".join(filter(None, (container.namespace, container.pod, name))) or (
        f"{UNKNOWN} container"
    )


def kill_key(kill: Kill) -> Key:
    """Whose kill it is, on one node: its owner, then what it is counted as."""
    cgroup, container = kill.target.cgroup, kill.container
    return (owner_of(container, cgroup), *counted_as(container, cgroup))


def kill_subject(kill: Kill) -> Subject:
    """Return what it is asked for by."""
    return Subject(
        id=kill.id,
        began=kill.time,
        ended=kill.time,
        node=kill.node,
        container=kill.container,
        cgroup=kill.target.cgroup,
    )


def kill_named(kill: Kill) -> dict[str, str | None]:
    """Return what names it has, by the parameter that filters by it."""
    return kill_subject(kill).names()
