# SPDX-License-Identifier: Apache-2.0
"""Takes an `Incident`, gives it with the container filled in: whose memory it was.

The container is the victim's, by the victim's cgroup. Not the domain's, which may be the pod's
or another ancestor's, and not the trigger's, which may be another container's altogether.

Where containers nest, the outermost one that the runtimes' state names is the container: what
is in it was named from inside, so that a cgroup made up in a container can never pass a kill on
to somebody else's. Docker in Docker is the outer container's, and so is Docker in LXC, whose name
the path has. A kind node's pods are the exception, where the node's own state is read, which does
not know the node: of those the path has the pod as well, and the state agrees. One whose state
is there and cannot be read is the container all the same.

Cgroups in a user's slice are looked up in that user's state, and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace

from ..incident.container import NO_NAME, NO_STATE, NOT_FOUND, PATH_CUT, UNKNOWN_FORM, Container
from .cgroup.path import CUT, CgroupIdentity, below_own, is_cut, parse
from .cgroup.readers import hex64
from .cgroup.systemd import lasting_name, unit_name
from .shares import name_shares

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from ..incident.model import Candidate, Child, Incident, Trigger
    from .metadata import ContainerMetadata

    class MetadataProvider(Protocol):
        """Names that others were asked for in the background: a cluster's API, a socket."""

        def find(self, container_id: str, pod_uid: str | None) -> ContainerMetadata | None:
            """Return what is known by now of a container of the system's, at least of its pod."""

    class Names(Protocol):
        """Where names come from: `discovery.ContainerDiscovery`."""

        def lookup(self, container_id: str, owner: int = 0) -> ContainerMetadata | str:
            """Return what the state of uid ``owner`` says of a container, else why it does not."""


__all__ = ["CgroupIdentity", "Resolver", "parse", "resolve"]

SANDBOX_ADJ = -998  # oom_score_adj that every runtime gives a pod's sandbox, and no container
NOBODY = -1  # whose state nothing is: a slice of users that is no one user's


class Resolver:
    """Names containers by cgroup path; without ``names``, by what the path itself says."""

    def __init__(self, names: Names | None = None, asked: Sequence[MetadataProvider] = ()) -> None:
        self._names = names
        self._asked = asked

    def container(self, path: str, uid: int | None = None, *, is_sandbox: bool = True) -> Container:
        """Return what is known of the container, or of the systemd unit, at ``path``.

        ``uid``: of the process that was in it. ``is_sandbox``: it may be the pod's sandbox; if
        not, it can only be the one container of a pod that has one.
        """
        found = parse(path)
        if found.container_id is None:
            return _of_unit(path, found)
        if path.startswith(CUT):
            # The outer containers are missing: what was named inside one proves nothing.
            whole = found.container_id if hex64(found.container_id) else None
            return Container(whole, None, found.runtime, pod_uid=found.pod_uid, unresolved=PATH_CUT)
        found, known, reason = self._lookup(path, _chain(found), uid)
        service = found.service
        if found.runtime == "slurm" and service is None and uid is not None:
            service = f"uid_{uid}"
        if known is None:
            if service is None and found.unit is not None and (_owner(path) or _is_split(found)):
                service = unit_name(found.unit)
            return Container(
                id=found.container_id,
                name=found.name,
                runtime=found.runtime,
                namespace=found.namespace,
                pod_uid=found.pod_uid,
                service=service,
                unresolved=None if found.name else reason,
            )
        if not is_sandbox:
            known = known.sole()
        # The cgroup is the kernel's word: state of another pod is not this container's.
        same_pod = found.pod_uid is None or known.pod_uid in (None, found.pod_uid)
        return Container(
            id=found.container_id,
            name=known.name,
            runtime=found.runtime or known.runtime or None,
            image=known.image,
            pod=known.pod if same_pod else None,
            namespace=known.namespace if same_pod else None,
            pod_uid=found.pod_uid or known.pod_uid,
            service=known.service or service,
            workload=known.workload if same_pod else None,
            type=known.type() if same_pod else None,
            memory_request_bytes=known.memory_request() if same_pod else None,
            unresolved=None if known.name else reason,
        )

    def _lookup(
        self, path: str, chain: Sequence[CgroupIdentity], uid: int | None
    ) -> tuple[CgroupIdentity, ContainerMetadata | None, str]:
        """Return which of ``chain`` is the container, what is known of it, and why no name is."""
        outermost, owner = chain[0], _owner(path)
        if not hex64(str(outermost.container_id)):
            return outermost, None, NO_STATE  # no state is looked for by such an id
        known, reason = self._known(outermost, owner)
        if known is None and uid and not owner and _is_split(outermost):
            # A system unit's User= has the state at home; the uid is the kernel's word.
            told, why = self._known(outermost, uid)
            if told is not None:
                return outermost, told, why
        if known is not None or reason not in (NO_STATE, NOT_FOUND):
            return outermost, known, reason
        # An inner one is believed where a kubelet made it, and its state has that very pod.
        inner = [one for one in chain[1:] if one.pod_uid and hex64(str(one.container_id))]
        for one in inner:
            known, why = self._known(one, owner)
            if known is not None and known.pod_uid not in (None, one.pod_uid):
                continue
            if known is not None or why not in (NO_STATE, NOT_FOUND):
                return one, known, why
        return (*inner, outermost)[0], None, reason

    def _known(self, one: CgroupIdentity, owner: int) -> tuple[ContainerMetadata | None, str]:
        container_id = str(one.container_id)
        read = NO_STATE if self._names is None else self._names.lookup(container_id, owner)
        told = None if owner else self._ask(container_id, one.pod_uid)
        if not isinstance(read, str):
            return read if told is None else read.filled_from(told), NO_NAME
        asked = self._asked and not owner
        return told, NOT_FOUND if asked and read == NO_STATE else read

    def pod_end(self, container: Container) -> str | None:
        """Return what becomes of a container's pod, one of `POD_ENDS`; None: nobody knows."""
        if container.pod_uid is None or container.id is None:
            return None
        told = self._ask(container.id, container.pod_uid)
        return None if told is None else told.pod_end

    def _ask(self, container_id: str, pod_uid: str | None) -> ContainerMetadata | None:
        told: ContainerMetadata | None = None
        for each in self._asked:
            more = each.find(container_id, pod_uid)
            if more is not None:
                told = more if told is None else told.filled_from(more)
        return told

    def resolve(self, incident: Incident) -> Incident:
        """Return ``incident`` with every container that its cgroups tell of, as far as known."""
        victim = incident.victims[0].cgroup if incident.victims else None
        container = incident.container
        if victim is not None:
            adj = incident.victims[0].oom_score_adj
            container = self.container(
                victim, incident.victims[0].uid, is_sandbox=adj in (None, SANDBOX_ADJ)
            )
        changed = incident.changed(
            container=container, trigger=self._trigger(incident.trigger, victim, container)
        )
        if incident.node_memory is not None:
            changed = changed.changed(node_memory=name_shares(incident.node_memory, self.container))
        if incident.domain is None or not incident.domain.children:
            return changed
        children = tuple(map(self._child, incident.domain.children))
        names = {child.cgroup_id: _called(child.container) for child in children}
        return changed.changed(
            domain=replace(incident.domain, children=children),
            candidates=_named(incident.candidates, names),
        )

    def _trigger(self, trigger: Trigger, victim: str | None, container: Container) -> Trigger:
        if trigger.cgroup is None:
            return trigger
        if trigger.cgroup == victim:
            return replace(trigger, container_id=container.id)
        container_id = self._id(trigger.cgroup)
        if container_id is None or container_id == container.id:
            return replace(trigger, container_id=container_id)
        return replace(trigger, container_id=container_id, container=self.container(trigger.cgroup))

    def _child(self, child: Child) -> Child:
        return (
            child
            if child.cgroup is None
            else replace(child, container=self.container(child.cgroup))
        )

    def _id(self, path: str) -> str | None:
        found = parse(path)
        if found.outer_container_id is None and not path.startswith(CUT):
            return found.container_id
        return self.container(path).id


def _called(container: Container) -> str | None:
    return container.name or container.id


def _named(
    candidates: tuple[Candidate, ...] | None, names: Mapping[int | None, str | None]
) -> tuple[Candidate, ...] | None:
    """Say of each candidate which of the domain's children it is in."""
    if candidates is None:
        return None
    return tuple(
        replace(each, container=names.get(each.cgroup_id)) if each.cgroup_id is not None else each
        for each in candidates
    )


def _chain(found: CgroupIdentity) -> list[CgroupIdentity]:
    """Return the containers ``found`` lies in and itself, the outermost first."""
    chain = [found]
    while chain[0].outer_container_id is not None:
        above = str(chain[0].container_cgroup).rpartition("/")[0]
        chain.insert(0, parse(above))
    return chain


def _of_unit(path: str, found: CgroupIdentity) -> Container:
    """Return what a path says that is in no container that is known."""
    unit, cut = found.unit, is_cut(path)
    if unit is None and cut:
        return Container(pod_uid=found.pod_uid, unresolved=PATH_CUT)
    below = "" if cut or (unit is not None and unit.endswith(".slice")) else below_own(path)
    name = "/".join(filter(None, (found.name, below))) or None
    lasting = None if unit is None else lasting_name(unit_name(unit))
    return Container(
        name=name,
        runtime=found.runtime,
        pod_uid=found.pod_uid,
        service=lasting or (found.name if below else None),
        unresolved=UNKNOWN_FORM if below else None,
    )


def _is_split(found: CgroupIdentity) -> bool:
    """Podman in a unit of its own, with --cgroups=split."""
    return "/libpod-payload-" in str(found.container_cgroup)


def _owner(path: str) -> int:
    """Return the user whose slice a path is in; 0 for the system's.

    /user.slice/user-1000.slice/user@1000.service is the user's to fill, with any names.
    """
    names = path.split("/", 4)
    if names[0] or names[1:2] not in (["user.slice"], ["capsule.slice"]):
        return 0
    uid = names[2].removeprefix("user-").removesuffix(".slice") if len(names) > 2 else ""
    if names[1] != "user.slice" or names[2:3] != [f"user-{uid}.slice"] or not _is_number(uid):
        return NOBODY
    manager = names[3] if len(names) > 3 else ""
    return NOBODY if manager.startswith("user@") and manager != f"user@{uid}.service" else int(uid)


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 10 and text.isascii() and text.isdecimal()


resolve = Resolver().resolve
