# SPDX-License-Identifier: Apache-2.0
"""Takes an `Incident`, gives it with the container filled in: whose memory it was.

The container is the victim's, by the victim's cgroup. Not the domain's, which may be the pod's
or another ancestor's, and not the trigger's, which may be another container's altogether.

Where containers nest, the outermost one that the runtimes' state names is the container: what
is in it was named from inside, so that a cgroup made up in a container can never pass a kill on
to somebody else's. Docker in Docker is the outer container's; in a kind node the node's own
state knows the pods, and not the node. Only where nothing is known is it the innermost's, by
id alone. Likewise cgroups below a user's own service manager are looked up in that user's state.
"""

from __future__ import annotations

from dataclasses import replace

from ..incident import NO_NAME, NO_STATE, NOT_FOUND, PATH_CUT, Container
from .cgroup import CUT, CgroupIdentity, parse
from .forms import hex64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from ..incident import Incident
    from .state import Known

    class Asked(Protocol):
        """Names that others were asked for in the background: a cluster's API, a socket."""

        def find(self, container_id: str, pod_uid: str | None) -> Known | None:
            """Return what is known by now of a container of the system's, at least of its pod."""

    class Names(Protocol):
        """Where names come from: `watch.Watcher`."""

        def lookup(self, ids: Sequence[str], owner: int = 0) -> Known | str:
            """Return the first of ``ids`` known in the state of uid ``owner``, else why none is."""


__all__ = ["CgroupIdentity", "Resolver", "parse", "resolve"]


class Resolver:
    """Names containers by cgroup path; without ``names``, by what the path itself says."""

    def __init__(self, names: Names | None = None, asked: Sequence[Asked] = ()) -> None:
        self._names = names
        self._asked = asked

    def container(self, path: str) -> Container:
        """Return what is known of the container, or of the systemd unit, at ``path``."""
        found = parse(path)
        chain = {
            str(one.container_id): one for one in _chain(found) if hex64(str(one.container_id))
        }
        known, reason = self._lookup(path, chain)
        if known is None:
            return Container(
                id=found.container_id,
                name=found.name,
                runtime=found.runtime,
                pod_uid=found.pod_uid,
                unresolved=reason if found.container_id and not found.name else None,
            )
        found = parse(str(chain[known.id].container_cgroup))
        # The cgroup is the kernel's word: state of another pod is not this container's.
        same_pod = found.pod_uid is None or known.pod_uid in (None, found.pod_uid)
        name = known.name or found.name
        return Container(
            id=found.container_id,
            name=name,
            runtime=found.runtime or known.runtime or None,
            image=known.image,
            pod=known.pod if same_pod else None,
            namespace=known.namespace if same_pod else None,
            pod_uid=found.pod_uid or known.pod_uid,
            workload=known.workload if same_pod else None,
            unresolved=None if name else reason,
        )

    def _lookup(self, path: str, chain: Mapping[str, CgroupIdentity]) -> tuple[Known | None, str]:
        """Return the outermost container of ``chain`` that is known, and why it has no name."""
        # Of a cut path the outer containers are missing: an inner one alone proves nothing.
        if path.startswith(CUT):
            return None, PATH_CUT
        if not chain:
            return None, NO_STATE
        owner = _owner(path)
        read = NO_STATE if self._names is None else self._names.lookup(list(chain), owner)
        known, reason = (None, read) if isinstance(read, str) else (read, NO_NAME)
        if owner or not self._asked:
            return known, reason
        reason = NOT_FOUND if reason == NO_STATE else reason
        for container_id, one in chain.items():
            told = self._ask(container_id, one.pod_uid)
            if known is not None and known.id == container_id:
                return known if told is None else known.filled_from(told), reason
            if told is not None:
                return told, reason
        return None, reason

    def _ask(self, container_id: str, pod_uid: str | None) -> Known | None:
        told: Known | None = None
        for each in self._asked:
            more = each.find(container_id, pod_uid)
            if more is not None:
                told = more if told is None else told.filled_from(more)
        return told

    def resolve(self, incident: Incident) -> Incident:
        """Return ``incident`` with its container and its trigger's container id, if known."""
        victim = incident.victims[0].cgroup if incident.victims else None
        container, trigger = incident.container, incident.trigger
        if victim is not None:
            container = self.container(victim)
        if trigger.cgroup is not None:
            same = trigger.cgroup == victim
            found = container.id if same else self._id(trigger.cgroup)
            trigger = replace(trigger, container_id=found)
        return incident.changed(container=container, trigger=trigger)

    def _id(self, path: str) -> str | None:
        found = parse(path)
        if found.outer_container_id is None:
            return found.container_id
        return self.container(path).id


def _chain(found: CgroupIdentity) -> list[CgroupIdentity]:
    """Return the containers ``found`` lies in and itself, the outermost first."""
    chain = [found]
    while chain[0].outer_container_id is not None:
        above = str(chain[0].container_cgroup).rpartition("/")[0]
        chain.insert(0, parse(above))
    return chain


def _owner(path: str) -> int:
    """Return the user whose service manager made the cgroup; 0 for the system's.

    /user.slice/user-1000.slice/user@1000.service is the user's to fill, with any names.
    """
    names = path.split("/", 4)
    if len(names) == 5 and names[:2] == ["", "user.slice"]:
        uid = names[3].removeprefix("user@").removesuffix(".service")
        if names[2:4] == [f"user-{uid}.slice", f"user@{uid}.service"] and _is_number(uid):
            return int(uid)
    return 0


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 10 and text.isascii() and text.isdecimal()


resolve = Resolver().resolve
