# SPDX-License-Identifier: Apache-2.0
"""Takes a decoded `Kill`, gives it with its containers named and its cause told."""

from __future__ import annotations

from dataclasses import replace

from ..identity.cgroup.path import parse
from ..identity.cgroup.systemd import unit_name
from ..identity.metadata import SANDBOX
from ..identity.resolver import SANDBOX_ADJ, Resolver
from .cause import BY_RUNTIME, EARLYOOM, SYSTEMD_OOMD, explain
from .model import Kill, Killer


def resolve_kill(kill: Kill, resolver: Resolver) -> Kill:
    """``resolver``: what names the containers of incidents."""
    target, container = kill.target, kill.container
    if target.cgroup is not None:
        is_sandbox = target.oom_score_adj in (None, SANDBOX_ADJ)
        container = resolver.container(target.cgroup, target.uid, is_sandbox=is_sandbox)
    killer = _placed(kill.killer, resolver)
    pod_end = resolver.pod_end(container)
    return explain(replace(kill, container=container, killer=killer, pod_end=pod_end))


def _placed(killer: Killer, resolver: Resolver) -> Killer:
    if killer.cgroup is None:
        return killer
    unit = parse(killer.cgroup).unit
    container = resolver.container(killer.cgroup, killer.uid)
    return replace(
        killer,
        unit=None if unit is None or container.id is not None else unit_name(unit),
        container=None if container.id is None else container,
    )


def is_of_interest(kill: Kill) -> bool:
    """Whether it ended a container, or a part of one; or was done for want of memory.

    On the host, processes kill each other by SIGKILL all day; and a pod's sandbox ends by its
    runtime's, each time its pod does.
    """
    if kill.killer.cause in BY_RUNTIME and _is_sandbox(kill):
        return False
    return kill.container.id is not None or kill.killer.cause in (SYSTEMD_OOMD, EARLYOOM)


def _is_sandbox(kill: Kill) -> bool:
    if kill.container.name is not None:
        return kill.container.name == SANDBOX
    return kill.container.pod_uid is not None and kill.target.oom_score_adj == SANDBOX_ADJ
