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

from ..incident import NO_NAME, NO_STATE, PATH_CUT, Container
from .cgroup import CUT, CgroupIdentity, parse
from .forms import hex64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from ..incident import Incident
    from .state import Known

    class Names(Protocol):
        """Where names come from: `watch.Watcher`."""

        def lookup(self, ids: Sequence[str], owner: int = 0) -> Known | str:
            """Return the first of ``ids`` known in the state of uid ``owner``, else why none is."""


__all__ = ["CgroupIdentity", "Resolver", "parse", "resolve"]


class Resolver:
    """Names containers by cgroup path; without ``names``, by what the path itself says."""

    def __init__(self, names: Names | None = None) -> None:
        self._names = names

    def container(self, path: str) -> Container:
        """Return what is known of the container, or of the systemd unit, at ``path``."""
        found = parse(path)
        chain = {one.container_id: one for one in _chain(found) if hex64(one.container_id or "")}
        known = self._lookup(path, [str(each) for each in chain])
        if isinstance(known, str):
            return Container(
                id=found.container_id,
                name=found.name,
                runtime=found.runtime,
                pod_uid=found.pod_uid,
                unresolved=known if found.container_id and not found.name else None,
            )
        found = parse(str(chain[known.id].container_cgroup))
        # The cgroup is the kernel's word: state of another pod is not this container's.
        same_pod = found.pod_uid is None or known.pod_uid in (None, found.pod_uid)
        name = known.name or found.name
        return Container(
            id=found.container_id,
            name=name,
            runtime=found.runtime or known.runtime,
            image=known.image,
            pod=known.pod if same_pod else None,
            namespace=known.namespace if same_pod else None,
            pod_uid=found.pod_uid or known.pod_uid,
            unresolved=None if name else NO_NAME,
        )

    def _lookup(self, path: str, ids: list[str]) -> Known | str:
        # Of a cut path the outer containers are missing: an inner one alone proves nothing.
        if path.startswith(CUT):
            return PATH_CUT
        if self._names is None or not ids:
            return NO_STATE
        return self._names.lookup(ids, _owner(path))

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
