# SPDX-License-Identifier: Apache-2.0
"""Takes pods as the API sends them, gives names by container id and by pod uid.

Two stores: one with the containers' names, and one with their pods', for a container that the API
does not report yet (the kubelet reports a start within seconds) or never reports (the pod's
sandbox).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from ..identity.cgroup.readers import is_uid
from ..identity.metadata import (
    DELETED,
    EVICTED,
    SANDBOX,
    STAYS,
    ContainerMetadata,
    Key,
    is_id,
    text,
)
from ..identity.store import Store
from .objects import Pod, PodSpec

PODS_MAX = 4096  # of one node; the store has room for as many containers
RUNTIMES = {"cri-o": "crio"}  # the API's names that are not ours


class Pods:
    """What is known of one node's pods; gone ones are known for ten minutes."""

    def __init__(self) -> None:
        self.containers = Store()
        self._pods = Store()
        self._of_pod: dict[str, set[Key]] = {}  # containers' keys by `cgroup_uid`

    def find(self, container_id: str, pod_uid: str | None) -> ContainerMetadata | None:
        """Return a container's names; only its pod's where the API does not know the container."""
        known = self.containers.lookup((0, container_id))
        if known is None and pod_uid is not None:
            pod = self._pods.lookup((0, pod_uid))
            known = pod and replace(pod, id=container_id, name=None)
        return known

    def put(self, pod: Pod, workload: str) -> bool:
        """Take a pod that is new or has changed; False: there is no room for a new one."""
        uid = cgroup_uid(pod)
        if uid not in self._of_pod and len(self._of_pod) >= PODS_MAX:
            return False
        found = {known.key(): known for known in _containers(pod, workload)}
        for key in self._of_pod.get(uid, set()) - found.keys():
            self.containers.gone(key)
        self._of_pod[uid] = set(found)
        for known in found.values():
            self.containers.put(known)
        self._pods.put(_known(pod, workload, uid, SANDBOX))
        return True

    def gone(self, uid: str) -> None:
        """Take the `cgroup_uid` of a pod that was deleted."""
        for key in self._of_pod.pop(uid, set()):
            self.containers.gone(key)
        self._pods.gone((0, uid))

    def keep_only(self, uids: set[str]) -> None:
        """Take those of all pods there are: all others are gone."""
        for uid in self._of_pod.keys() - uids:
            self.gone(uid)

    def __len__(self) -> int:
        return len(self._of_pod)


def cgroup_uid(pod: Pod) -> str:
    """Return the uid in the cgroup's path: of a static pod it is not the API's, but the kubelet's.

    Believed only of what a kubelet can make: a pod owned by a node, with a hash for uid.
    """
    notes, owner = pod.metadata.annotations, pod.metadata.controller()
    if owner is not None and owner.kind == "Node" and notes is not None and notes.hash:
        static = notes.hash
        if is_uid(static):
            return static
    return pod.metadata.uid


def _containers(pod: Pod, workload: str) -> list[ContainerMetadata]:
    known = []
    for status in pod.status.all() if pod.status else ():
        for each in status.ids():
            runtime, _, container_id = each.partition("://")
            if is_id(container_id):
                one = _known(pod, workload, container_id, status.name, status.image)
                known.append(replace(one, runtime=text(RUNTIMES.get(runtime, runtime)) or ""))
    return known


def _known(pod: Pod, workload: str, id_: str, name: str, image: str = "") -> ContainerMetadata:
    return ContainerMetadata(
        id_,
        "",
        name=text(name),
        image=text(image),
        pod=text(pod.metadata.name),
        namespace=text(pod.metadata.namespace),
        pod_uid=text(cgroup_uid(pod)),
        workload=text(workload),
        types=_shared(pod.spec.types()) if pod.spec else (),
        pod_end=_end_of(pod),
        requests=_shared_requests(_requests(pod.spec)) if pod.spec else (),
    )


def _requests(spec: PodSpec) -> tuple[tuple[str, int], ...]:
    return (*spec.memory_requests(), *((name, 0) for name in spec.without_request()))


def _end_of(pod: Pod) -> str:
    if pod.status is not None and pod.status.is_evicted():
        return EVICTED
    return DELETED if pod.metadata.deletion_timestamp else STAYS


@lru_cache(maxsize=1024)
def _shared(types: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return one object for all pods of a workload, without what cannot be a name."""
    return tuple((name, type_) for name, type_ in types if text(name))


@lru_cache(maxsize=1024)
def _shared_requests(requests: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """Return one object for all pods of a workload."""
    return tuple((name, size) for name, size in requests if text(name))
