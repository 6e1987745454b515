# SPDX-License-Identifier: Apache-2.0
"""Takes a decoded `Kill`, gives it with its containers named and its cause told."""

from __future__ import annotations

from dataclasses import replace

from ..identity.cgroup.path import parse
from ..identity.cgroup.systemd import unit_name
from ..identity.resolver import SANDBOX_ADJ, Resolver
from .cause import EARLYOOM, SYSTEMD_OOMD, explain
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

    On the host, processes kill each other by SIGKILL all day.
    """
    return kill.container.id is not None or kill.killer.cause in (SYSTEMD_OOMD, EARLYOOM)
