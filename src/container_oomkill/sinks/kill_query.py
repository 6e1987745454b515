# SPDX-License-Identifier: Apache-2.0
"""Which kills by others a `Query` asks for: by the filters that incidents have, but scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..killers.model import Kill
from .kill_names import kill_named
from .names import counted_as
from .query import ID_MIN, NAMES, Query


def kill_matches(query: Query, kill: Kill) -> bool:
    """A scope is what ran out, so whoever asks for one asks for no kill of these."""
    if query.scope:
        return False
    if query.after_time is not None and kill.time <= query.after_time:
        return False
    if query.before_time is not None and kill.time >= query.before_time:
        return False
    if query.cgroup and not _is_in(kill.target.cgroup, query.cgroup):
        return False
    return all(_has(kill, key, wanted) for key in NAMES if (wanted := getattr(query, key)))


def matching_kills(query: Query, newest_first: Iterable[Kill]) -> Iterator[Kill]:
    """Yield what matches, in the order given."""
    return (kill for kill in newest_first if kill_matches(query, kill))


def _has(kill: Kill, key: str, wanted: str) -> bool:
    container = kill.container
    also: tuple[str | None, ...] = ()
    if key == "container":
        if len(wanted) >= ID_MIN and (container.id or "").startswith(wanted.lower()):
            return True
        also = container.name, container.service, counted_as(container, kill.target.cgroup)[2]
    wanted = wanted.lower()
    return any(wanted in (text or "").lower() for text in (kill_named(kill)[key], *also))


def _is_in(path: str | None, wanted: str) -> bool:
    name = f"/{wanted.strip('/')}/".replace("//", "/")
    if path is None:
        return False
    whole = f"{path.rstrip('/')}/"
    return whole.startswith(name) if wanted.startswith("/") else name in whole
