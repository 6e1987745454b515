# SPDX-License-Identifier: Apache-2.0
"""Names whose the node's memory was: one row for each container, whatever cgroups are in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .cgroup.path import CUT, parse

if TYPE_CHECKING:
    from ..incident.model import Container
    from ..incident.node_memory import NodeMemory, Share


def name_shares(memory: NodeMemory, name: Callable[[str], Container]) -> NodeMemory:
    """Return it with its cgroups named by ``name``, those of one container as one row."""
    if memory.cgroups is None:
        return memory
    groups: dict[str, list[Share]] = {}
    for share in memory.cgroups:
        named = replace(share, container=name(share.cgroup or ""))
        groups.setdefault(_key(named), []).append(named)
    rows = sorted(map(_as_one, groups.values()), key=lambda row: row.usage_bytes or 0, reverse=True)
    host = [row.usage_bytes or 0 for row in rows if row.container.id is None]
    return replace(memory, cgroups=tuple(rows), host_bytes=sum(host))


def _key(share: Share) -> str:
    """A container's id; of what is in none the cgroup."""
    return share.container.id or f"{share.cgroup} {share.cgroup_id}"


def _as_one(rows: Sequence[Share]) -> Share:
    """A container's cgroups, the ones within others included; its limit is the highest one's."""
    if len(rows) == 1:
        return rows[0]
    tops = [row for row in rows if not any(_is_below(row, other) for other in rows)]
    first = min(tops, key=lambda row: len(row.cgroup or ""))
    by_path = sorted(rows, key=lambda row: len(row.cgroup or ""))
    path = first.cgroup or ""
    own = None if CUT in path else parse(path).container_cgroup
    whole = own is None or own == path
    return replace(
        first,
        cgroup=own or path,
        cgroup_id=first.cgroup_id if whole else None,
        usage_bytes=_sum([row.usage_bytes for row in rows]),
        limit_bytes=first.limit_bytes if whole else None,
        low_bytes=first.low_bytes if whole else None,
        min_bytes=first.min_bytes if whole else None,
        oom_score_adj=next(
            (adj for row in by_path if (adj := row.oom_score_adj) is not None), None
        ),
        grew_minute_bytes=_sum([row.grew_minute_bytes for row in tops]),
        grew_hour_bytes=_sum([row.grew_hour_bytes for row in tops]),
    )


def _is_below(row: Share, other: Share) -> bool:
    return (row.cgroup or "").startswith(f"{other.cgroup}/")


def _sum(numbers: Sequence[int | None]) -> int | None:
    return None if None in numbers else sum(filter(None, numbers))
