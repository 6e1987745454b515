# SPDX-License-Identifier: Apache-2.0
"""Takes where the host's folders are mounted, gives every runtime's state folders."""

from __future__ import annotations

from .docker import FOLDERS as DOCKER_FOLDERS
from .docker import ROOTS, Remapped, docker
from .oci import CONTAINERD_FOLDERS, CRIO_FOLDERS, Containerd, crio
from .podman import FOLDERS as PODMAN_FOLDERS
from .podman import Podman
from .rootless import USERS, RootlessUsers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .state import RuntimeState


def default_sources(
    *,
    root: str = "",
    docker_folders: Sequence[str] | None = None,
    containerd_folders: Sequence[str] | None = None,
    crio_folders: Sequence[str] | None = None,
    podman_folders: Sequence[str] | None = None,
    users: str | None = USERS,
) -> list[RuntimeState]:
    """Return every runtime's state; ``users`` None: nobody's home is looked into.

    Folders are taken as given; where None are, it is the usual ones, with ``root`` before them.
    """

    def folders(given: Sequence[str] | None, usual: Sequence[str]) -> list[str]:
        return [root + folder for folder in usual] if given is None else list(given)

    sources: list[RuntimeState] = [docker(each) for each in folders(docker_folders, DOCKER_FOLDERS)]
    if docker_folders is None:
        sources += [Remapped(root + each) for each in ROOTS]
    sources += map(Containerd, folders(containerd_folders, CONTAINERD_FOLDERS))
    sources += map(crio, folders(crio_folders, CRIO_FOLDERS))
    sources += map(Podman, folders(podman_folders, PODMAN_FOLDERS))
    if users is not None:
        sources.append(RootlessUsers(root + users, root))
    return sources
