# SPDX-License-Identifier: Apache-2.0
"""The API's objects, reduced to the fields used here; the JSON of all others is skipped.

A pod is 5 to 20 kB of JSON, of which we need a few names. The types follow k8s.io/api core/v1 and
k8s.io/apimachinery meta/v1; a list that the API omits or sends as null is empty.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec

from .errors import ApiError
from .quantity import bytes_of

T = TypeVar("T")


class Owner(msgspec.Struct, rename="camel"):
    """metav1.OwnerReference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Annotations(msgspec.Struct):
    """The kubelet's on its copy of a static pod; the cgroup of such a pod has this as its uid."""

    hash: str | None = msgspec.field(name="kubernetes.io/config.hash", default=None)


class Metadata(msgspec.Struct, rename="camel"):
    """metav1.ObjectMeta, and of a list metav1.ListMeta."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    continue_: str = msgspec.field(name="continue", default="")
    annotations: Annotations | None = None
    owner_references: list[Owner] | None = None

    def controller(self) -> Owner | None:
        """Return the owner that manages this object."""
        return next((owner for owner in self.owner_references or () if owner.controller), None)


class Ended(msgspec.Struct):
    """core/v1.ContainerStateTerminated."""

    container_id: str | None = msgspec.field(name="containerID", default=None)
    reason: str = ""
    finished_at: str | None = msgspec.field(name="finishedAt", default=None)


class LastState(msgspec.Struct):
    terminated: Ended | None = None


class ContainerStatus(msgspec.Struct, rename="camel"):
    """One container of a pod: the one that runs, and the one before it."""

    name: str = ""
    image: str = ""
    container_id: str | None = msgspec.field(name="containerID", default=None)
    state: LastState | None = None
    last_state: LastState | None = None

    def ended(self) -> list[Ended]:
        """Return how it ended, if it has, and how the one before it did."""
        states = (self.state, self.last_state)
        return [each.terminated for each in states if each is not None and each.terminated]

    def ids(self) -> list[str]:
        """Return their ids as the API has them, ``containerd://<id>``."""
        ended = self.last_state.terminated if self.last_state else None
        both = (self.container_id, ended.container_id if ended else None)
        return [each for each in both if each]


class Condition(msgspec.Struct):
    type: str = ""
    status: str = ""
    reason: str = ""


class PodStatus(msgspec.Struct, rename="camel"):
    reason: str = ""
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None

    def is_evicted(self) -> bool:
        """By the kubelet for want of a resource, or by whoever drains the node."""
        disrupted = (each for each in self.conditions or () if each.type == "DisruptionTarget")
        return self.reason == "Evicted" or any(
            each.status == "True" and each.reason == "EvictionByEvictionAPI" for each in disrupted
        )

    def all(self) -> list[ContainerStatus]:
        return [
            *(self.container_statuses or ()),
            *(self.init_container_statuses or ()),
            *(self.ephemeral_container_statuses or ()),
        ]


class Amounts(msgspec.Struct):
    """Of a core/v1 ResourceList; the API also takes a plain number."""

    memory: str | int | float | None = None


NOTHING = (None, 0, "0")  # as a request


class Resources(msgspec.Struct):
    """core/v1 ResourceRequirements."""

    requests: Amounts | None = None

    def memory(self) -> str | int | float | None:
        """Return what is requested, as the API has it; None: nothing."""
        return None if self.requests is None else self.requests.memory


class ContainerSpec(msgspec.Struct, rename="camel"):
    name: str = ""
    restart_policy: str = ""
    resources: Resources | None = None

    def asks_for_memory(self) -> str | int | float | None:
        return None if self.resources is None else self.resources.memory()

    def init_type(self) -> str:
        return "sidecar" if self.restart_policy == "Always" else "init"


class PodSpec(msgspec.Struct, rename="camel"):
    containers: list[ContainerSpec] | None = None
    init_containers: list[ContainerSpec] | None = None
    ephemeral_containers: list[ContainerSpec] | None = None
    resources: Resources | None = None  # the pod's own

    def types(self) -> tuple[tuple[str, str], ...]:
        """Return name and type of each; an init container that is restarted is a sidecar."""
        return (
            *((each.name, "app") for each in self.containers or ()),
            *((each.name, each.init_type()) for each in self.init_containers or ()),
            *((each.name, "ephemeral") for each in self.ephemeral_containers or ()),
        )

    def memory_requests(self) -> tuple[tuple[str, int], ...]:
        """Return name and memory request, bytes, of each that has one."""
        asked = ((each.name, bytes_of(each.asks_for_memory())) for each in self._with_requests())
        return tuple((name, size) for name, size in asked if size)

    def without_request(self) -> tuple[str, ...]:
        """Return the names of those that nothing is reserved for.

        Of none where the pod has a request: that is for all of them.
        """
        if self.resources is not None and self.resources.memory() is not None:
            return ()
        every = self._with_requests()
        return tuple(each.name for each in every if each.asks_for_memory() in NOTHING)

    def _with_requests(self) -> tuple[ContainerSpec, ...]:
        """All but ephemeral containers, which cannot have any."""
        return (*(self.containers or ()), *(self.init_containers or ()))


class Pod(msgspec.Struct):
    metadata: Metadata
    spec: PodSpec | None = None
    status: PodStatus | None = None


class PodList(msgspec.Struct):
    metadata: Metadata
    items: list[Pod] | None = None


class Partial(msgspec.Struct):
    """metav1.PartialObjectMetadata: any object without its spec and status."""

    metadata: Metadata


class Change(msgspec.Struct):
    """One line of a watch; what ``object`` is depends on ``type``."""

    type: str
    object: msgspec.Raw


class Cause(msgspec.Struct):
    reason: str = ""


class Details(msgspec.Struct):
    causes: list[Cause] | None = None


class Status(msgspec.Struct):
    """metav1.Status: why something was refused."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Details | None = None

    def causes(self) -> set[str]:
        causes = (self.details.causes if self.details else None) or ()
        return {cause.reason for cause in causes}


class About(msgspec.Struct, rename="camel"):
    """core/v1.ObjectReference, of an Event."""

    field_path: str = ""


class Event(msgspec.Struct, rename="camel"):
    reason: str = ""
    message: str = ""
    last_timestamp: str | None = None
    event_time: str | None = None
    involved_object: About = msgspec.field(default_factory=About)


class EventList(msgspec.Struct):
    items: list[Event] | None = None


def seconds_of(time: str | None) -> float | None:
    """Return metav1.Time as seconds since the epoch; None for none, and for what is no time."""
    try:
        return None if time is None else datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return None


def decode(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Return the object; `ApiError` if it is none of that kind."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ApiError(f"unexpected response: {str(error).lower()}") from None
