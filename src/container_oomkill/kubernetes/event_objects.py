# SPDX-License-Identifier: Apache-2.0
"""Takes an incident, gives what Events are written on: its pod and, where that ran out, its node.

The node's Event is where the kubelet's own are: in the namespace `default`, with the node's name
for a uid. `kubectl describe node` looks for that beside the API's uid, which is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..diagnosis.node_memory import NO_CGROUP_SCOPES
from ..identity.metadata import SANDBOX
from ..incident.model import Container, Incident
from ..sinks.names import full_name
from ..sinks.printable import printable

MESSAGE_MAX = 1024  # bytes, validation of events in k8s.io/kubernetes
NODES_NAMESPACE = "default"
FIELDS = {"init": "initContainers", "sidecar": "initContainers", "ephemeral": "ephemeralContainers"}


@dataclass(frozen=True, slots=True)
class About:
    """What an Event is about. ``namespace``: the Event's; a node itself is in none."""

    kind: str
    namespace: str
    name: str
    uid: str | None
    container: str | None = None

    def __str__(self) -> str:
        return f"node {self.name}" if self.kind == "Node" else f"pod {self.namespace}/{self.name}"

    def reference(self, field: str) -> dict[str, Any]:
        """Return the Event's involvedObject. ``field``: of the pod's spec, see `spec_field`."""
        found = {"apiVersion": "v1", "kind": self.kind, "name": self.name}
        if self.kind != "Node":
            found["namespace"] = self.namespace
        if self.uid is not None:
            found["uid"] = self.uid
        if self.container is not None:
            found["fieldPath"] = f"spec.{field}{{{self.container}}}"
        return found


def spec_field(container: Container) -> str:
    """Return which of its pod's lists a container is in."""
    return FIELDS.get(container.type or "", "containers")


def find_abouts(incident: Incident, node: str) -> Iterator[tuple[About, str]]:
    """Yield what an incident is an Event of, and what that says. ``node``: the cluster's name."""
    container = incident.container
    verdict = incident.verdict or "killed by the kernel's OOM killer"
    if container.namespace is not None and container.pod is not None:
        name = None if container.name == SANDBOX else container.name
        pod = About("Pod", container.namespace, container.pod, container.pod_uid, name)
        yield pod, verdict
    if incident.scope in NO_CGROUP_SCOPES:
        named = node.lower()  # as the kubelet makes its own of the host's
        yield (
            About("Node", NODES_NAMESPACE, named, named),
            f"{full_name(incident)} was killed: {verdict}",
        )


def event_message(words: str, link: str) -> str:
    """Return both, as long as a message may be; the link is never cut."""
    text = printable(words)
    data, room = text.encode(), MESSAGE_MAX - len(link.encode())
    if len(data) > room:
        text = data[: room - 3].decode(errors="ignore") + "…"
    return text + link
