# SPDX-License-Identifier: Apache-2.0
"""What is known of one container, whoever said it."""

from __future__ import annotations

from dataclasses import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


MIB = 1 << 20


NAME_MAX = 512  # characters; an image's reference is the longest thing taken


SANDBOX = "POD"  # what the kubelet calls a pod's own container


# What becomes of a pod, by the cluster's API: it has been evicted, it is being deleted, it stays;
# or it stays, and the kubelet restarts this container, as a probe failed.
EVICTED, DELETED, STAYS = "evicted", "deleted", "stays"
LIVENESS_FAILED, STARTUP_FAILED = "liveness_failed", "startup_failed"
POD_ENDS = (EVICTED, DELETED, STAYS, LIVENESS_FAILED, STARTUP_FAILED)


Key = tuple[int, str]  # (uid the state belongs to, 0 for the system's; container id)


@dataclass(frozen=True, slots=True)
class ContainerMetadata:
    """What a runtime's own files say of one container."""

    id: str
    runtime: str
    owner: int = 0  # uid whose state it is in
    name: str | None = None  # Kubernetes' container name, else the runtime's
    image: str | None = None
    pod: str | None = None
    namespace: str | None = None
    pod_uid: str | None = None
    service: str | None = None  # Swarm's or Compose's
    workload: str | None = None  # kind/name; known by a cluster's API only
    # Name and type of each of its pod's containers; known by a cluster's API only
    types: tuple[tuple[str, str], ...] = ()
    pod_end: str | None = None  # one of `POD_ENDS`; known by a cluster's API only
    # Name and memory request, bytes, of those whose is known, 0: none; by a cluster's API only
    requests: tuple[tuple[str, int], ...] = ()

    def key(self) -> Key:
        """Return what it is looked up by."""
        return self.owner, self.id

    def filled_from(self, other: ContainerMetadata) -> ContainerMetadata:
        """Return it with what only ``other`` knows; as it is where the two disagree."""
        for name in ("name", "pod", "namespace", "pod_uid"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours is not None and theirs is not None and ours != theirs:
                return self
        return replace(
            self,
            name=self.name or other.name,
            image=self.image or other.image,
            pod=self.pod or other.pod,
            namespace=self.namespace or other.namespace,
            pod_uid=self.pod_uid or other.pod_uid,
            service=self.service or other.service,
            workload=self.workload or other.workload,
            types=self.types or other.types,
            pod_end=self.pod_end or other.pod_end,
            requests=self.requests or other.requests,
        )

    def type(self) -> str | None:
        """Return ``app``, ``init``, ``sidecar`` (an init container that stays) or ``ephemeral``."""
        return None if self.name is None else dict(self.types).get(self.name)

    def memory_request(self) -> int | None:
        """Return what is reserved for the container, bytes; None: it is not known."""
        return None if self.name is None else dict(self.requests).get(self.name)

    def sole(self) -> ContainerMetadata:
        """Return it named as its pod's container, if it has no name and there is only one."""
        if self.name is not None or len(self.types) != 1:
            return self
        ((name, _),) = self.types
        return replace(self, name=name)

    def facts(self) -> int:
        """Return how many of its names are known; the service goes by the name, and with it."""
        named = (self.name, self.image, self.pod, self.namespace, self.pod_uid, self.workload)
        return sum(text is not None for text in named)


def mapping(value: object) -> Mapping[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: object, limit: int = NAME_MAX) -> str | None:
    """Return ``value`` if it can be a name: some text, in bounds, nothing that does not print."""
    if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable():
        return value
    return None


def is_id(name: str) -> bool:
    """Tell whether a file's name is a container's id."""
    return len(name) == 64 and not name.strip("0123456789abcdef")
