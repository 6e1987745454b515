# SPDX-License-Identifier: Apache-2.0
"""Takes a pod of the API, gives what it says of a container: its end, its cgroup, its Events."""

from __future__ import annotations

from ..kernel.cgroups import Cgroup
from .api import Api, Object
from .namespaces import CGROUP
from .pods import NAMESPACE

KINDS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def last_end(pod: Object, container: str) -> Object:
    """Return the state it ended in last; empty where it has not ended."""
    for kind in KINDS:
        for status in pod["status"].get(kind, ()):
            if status["name"] == container:
                for state in (status["state"], status.get("lastState", {})):
                    if ended := state.get("terminated"):
                        found: Object = ended
                        return found
    return {}


def end_of(pod: Object, container: str) -> str:
    """Return reason and exit code of its last end, as `kubectl describe` has them."""
    ended = last_end(pod, container)
    return f"{ended['reason']} {ended['exitCode']}" if ended else "nothing"


def container_id(status: Object) -> str:
    """Return the runtime's own id, of a container's status or of the state it ended in."""
    return str(status["containerID"].partition("://")[2])


def cgroup_of(pod: Object, container: str | None = None) -> Cgroup:
    """Return the cgroup of a Burstable pod, or of one of its containers."""
    path = f"{CGROUP}/kubepods/burstable/pod{pod['metadata']['uid']}"
    if container is not None:
        statuses = pod["status"]["containerStatuses"]
        (status,) = [each for each in statuses if each["name"] == container]
        path += f"/{container_id(status)}"
    return Cgroup(path, may_exist=True)


def kill_events(api: Api, pod: str) -> list[Object]:
    """Return our Events on a pod of the tests, by its name."""
    selector = f"involvedObject.name={pod},reason=OOMKilling"
    return api.items(f"/api/v1/namespaces/{NAMESPACE}/events?fieldSelector={selector}")
