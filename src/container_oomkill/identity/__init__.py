# SPDX-License-Identifier: Apache-2.0
"""Takes an `Incident`, gives it with the container filled in: whose memory it was.

The container is the victim's, by the victim's cgroup. Not the domain's, which may be the pod's
or another ancestor's, and not the trigger's, which may be another container's altogether.
"""

from __future__ import annotations

from dataclasses import replace

from ..incident import Container
from .cgroup import CgroupIdentity, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..incident import Incident

__all__ = ["CgroupIdentity", "Resolver", "parse", "resolve"]


class Resolver:
    """Names containers by cgroup path; reads nothing."""

    def container(self, path: str) -> Container:
        """Return what is known of the container, or of the systemd unit, at ``path``."""
        found = parse(path)
        return Container(
            id=found.container_id,
            name=found.name,
            runtime=found.runtime,
            pod_uid=found.pod_uid,
        )

    def resolve(self, incident: Incident) -> Incident:
        """Return ``incident`` with its container and its trigger's container id, if known."""
        path = incident.victims[0].cgroup if incident.victims else None
        if path is not None:
            incident = replace(incident, container=self.container(path))
        path = incident.trigger.cgroup
        if path is not None:
            trigger = replace(incident.trigger, container_id=parse(path).container_id)
            incident = replace(incident, trigger=trigger)
        return incident


resolve = Resolver().resolve
