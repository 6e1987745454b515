# SPDX-License-Identifier: Apache-2.0
"""Takes Podman's container lists, gives names and images.

The lists are containers/storage's (store.go, containers.go): ``containers.json``, and
``volatile-containers.json`` for ``--rm``, in ``<graph root>/<driver>-containers``. CRI-O's
containers are in the same ones; those are left to `oci`, which knows their pods. Podman's labels
and its pods' names are in its data base only, and stay unknown.
"""

from __future__ import annotations

import threading

from ...system import bounded_json
from .. import metadata
from ..metadata import MIB, ContainerMetadata, Key
from . import state
from .state import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDERS = (
    "/var/lib/containers/storage/overlay-containers",
    "/var/lib/containers/storage/vfs-containers",
    "/run/containers/storage/overlay-containers",  # with transient_store
)
ROOTLESS = (".local", "share", "containers", "storage", "overlay-containers")
FILES = ("containers.json", "volatile-containers.json")
LIST_MAX = 8 * MIB  # of root's; about 10 000 containers


class Podman:
    """One folder of lists; read again when a list has changed, each whatever the other is like."""

    runtime = "podman"

    def __init__(self, folder: str, inside: tuple[str, ...] = (), owner: int = 0) -> None:
        self.folder = folder
        self._inside = inside
        self._owner = owner
        self._lock = threading.Lock()
        self._read_at: object = None
        self._known: dict[Key, ContainerMetadata] = {}
        self._wrong: tuple[str, str] | None = None  # reason and path of a list that is damaged

    def watched(self) -> list[str]:
        return ["/".join((self.folder, *self._inside))]

    def stamp(self) -> object:
        """A list is replaced by a new file, never written in place: its inode tells."""
        stamps = [state.stamp_of("/".join((self.folder, *self._inside, file))) for file in FILES]
        return stamps if any(stamps) else None

    def settled(self, stamp: object) -> bool:
        return not isinstance(stamp, list) or all(map(state.is_settled, stamp))

    def keys(self) -> set[Key]:
        known, wrong = self._lists()
        if wrong is not None:
            raise StateError(*wrong)
        return set(known)

    def version(self, key: Key) -> object:
        return self._lists()[0].get(key)

    def find(self, key: Key) -> ContainerMetadata | None:
        known, wrong = self._lists()
        if key not in known and wrong is not None:
            raise StateError(*wrong)
        return known.get(key)

    def _lists(self) -> tuple[dict[Key, ContainerMetadata], tuple[str, str] | None]:
        with self._lock:
            stamp = self.stamp()
            if stamp is None or stamp != self._read_at or not self.settled(stamp):
                self._known, self._wrong = {}, None
                for file in FILES:
                    try:
                        self._known |= self._list(file)
                    except StateError as error:
                        self._wrong = error.reason, "/".join((self.folder, *self._inside, file))
                self._read_at = stamp
            return self._known, self._wrong

    def _list(self, file: str) -> dict[Key, ContainerMetadata]:
        limit = state.USERS if self._owner else LIST_MAX
        try:
            entries = state.read_json(self.folder, *self._inside, file, limit=limit)
        except StateError as error:
            if error.reason == "missing":
                return {}
            raise
        if not isinstance(entries, list):
            return {}
        known = (read(self._owner, entry) for entry in entries)
        return {one.key(): one for one in known if one}


def read(owner: int, entry: Any) -> ContainerMetadata | None:
    """Return what one entry of a list says; None if it is not a container of Podman's."""
    entry = metadata.mapping(entry)
    container_id = entry.get("id")
    if not isinstance(container_id, str) or not metadata.is_id(container_id):
        return None
    try:
        notes = metadata.mapping(bounded_json.loads((entry.get("metadata") or "{}").encode()))
    except (ValueError, AttributeError):
        notes = {}
    if notes.get("pod-name") or notes.get("pod-id"):
        return None
    names = entry.get("names")
    first = names[0] if isinstance(names, list) and names else notes.get("name")
    return ContainerMetadata(
        container_id,
        "podman",
        owner,
        metadata.text(first),
        metadata.text(notes.get("image-name")),
    )
