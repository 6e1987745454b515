# SPDX-License-Identifier: Apache-2.0
"""Takes Docker's ``containers/<id>/config.v2.json``, gives the container's names.

Docker merges an image's labels into the container's: any image may claim to be any pod. The
kubelet's labels are believed only of a container with the name that goes with them, which
cri-dockerd gives and no image can: ``k8s_<container>_<pod>_<namespace>_<uid>_<attempt>``. So are
the labels of a Swarm or Compose service.
"""

from __future__ import annotations

from .. import metadata
from ..metadata import ContainerMetadata, Key
from . import state
from .state import Folder, FoldersBelow, StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FOLDERS = (
    "/var/lib/docker/containers",
    "/var/snap/docker/common/var-lib-docker/containers",
)
ROOTS = ("/var/lib/docker", "/var/snap/docker/common/var-lib-docker")  # with --userns-remap
ROOTLESS = (".local", "share", "docker", "containers")  # below a user's home
FILE = ("config.v2.json",)
KEEP = {"ID": None, "Name": None, "Config": {"Image": None, "Labels": None}}
SWARM_SERVICE = "com.docker.swarm.service.name"
COMPOSE = "com.docker.compose."


def docker(folder: str, inside: tuple[str, ...] = (), owner: int = 0) -> Folder:
    """Return Docker's state in ``folder``, the daemon's data root's "containers"."""
    return Folder("docker", folder, inside, FILE, read, owner, KEEP)


class Remapped(FoldersBelow):
    """Docker's state with ``--userns-remap``: ``<data root>/<uid>.<gid>/containers``."""

    def __init__(self, root: str) -> None:
        super().__init__("docker", root, self._containers)

    def _containers(self, name: str) -> Folder | None:
        uid, dot, gid = name.partition(".")
        if not (dot and all(text.isascii() and text.isdecimal() for text in (uid, gid))):
            return None
        return docker(self.folder, (name, "containers"))

    def stamp(self) -> object:
        """None where nothing is remapped, too: then `docker` has all there is."""
        try:
            return super().stamp() if self._below() else None
        except StateError:
            return None


def read(key: Key, document: Any) -> ContainerMetadata | None:
    """Return what one config.v2.json says; None if it is not that container's."""
    document = metadata.mapping(document)
    owner, container_id = key
    if document.get("ID") != container_id:
        return None
    config = metadata.mapping(document.get("Config"))
    raw = metadata.mapping(config.get("Labels"))
    image = metadata.text(config.get("Image"))
    name = (metadata.text(document.get("Name")) or "").removeprefix("/") or None
    sandbox = raw.get("io.kubernetes.docker.type") == "podsandbox"
    container = metadata.SANDBOX if sandbox else metadata.text(raw.get(state.CONTAINER_NAME))
    pod = metadata.text(raw.get(state.POD_NAME))
    namespace = metadata.text(raw.get(state.POD_NAMESPACE))
    uid = metadata.text(raw.get(state.POD_UID))
    if name and name.startswith(f"k8s_{container}_{pod}_{namespace}_{uid}_"):
        return ContainerMetadata(
            container_id, "docker", owner, container, image, pod, namespace, uid
        )
    service = service_of(name, raw)
    return ContainerMetadata(container_id, "docker", owner, name, image, service=service)


def service_of(name: str | None, labels: Mapping[str, Any]) -> str | None:
    """Return the Swarm or Compose service, where the container's name goes with the labels.

    Swarm: ``<service>.<slot or node>.<task>``. Compose: ``<project>-<service>-<number>``, up to
    1.29 with ``_``; its service is given with the project, as several may have a "web". A container
    with another name was given that for good, and needs no service's.
    """
    swarm = metadata.text(labels.get(SWARM_SERVICE))
    project = metadata.text(labels.get(COMPOSE + "project"))
    service = metadata.text(labels.get(COMPOSE + "service"))
    if name is None:
        return None
    if swarm is not None and name.startswith(f"{swarm}."):
        return swarm
    if project is not None and service is not None:
        for mark in "-_":
            if name.startswith(f"{project}{mark}{service}{mark}"):
                return f"{project}{mark}{service}"
    return None
