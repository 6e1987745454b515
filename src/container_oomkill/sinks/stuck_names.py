# SPDX-License-Identifier: Apache-2.0
"""What a `Stuck`'s container is called, as that of an incident is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .name_filters import Subject
from .names import UNKNOWN, Key, container_name, counted_as, owner_of

if TYPE_CHECKING:
    from ..stuck.model import Stuck


def stuck_name(stuck: Stuck) -> str:
    """namespace/pod/container, as far as they are known."""
    container = stuck.container
    name = container_name(container, stuck.cgroup)
    return "/".join(filter(None, (container.namespace, container.pod, name))) or (
        f"{UNKNOWN} container"
    )


def stuck_key(stuck: Stuck) -> Key:
    """Whose it is, on one node: its owner, then what it is counted as."""
    return (
        owner_of(stuck.container, stuck.cgroup),
        *counted_as(stuck.container, stuck.cgroup),
    )


def stuck_subject(stuck: Stuck) -> Subject:
    """Return what it is asked for by."""
    return Subject(
        id=stuck.id,
        began=stuck.time,
        ended=stuck.time + (stuck.stuck.seconds or 0.0),
        node=stuck.node,
        container=stuck.container,
        cgroup=stuck.cgroup,
    )


def stuck_named(stuck: Stuck) -> dict[str, str | None]:
    """Return what names it has, by the parameter that filters by it."""
    return stuck_subject(stuck).names()
