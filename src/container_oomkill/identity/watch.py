# SPDX-License-Identifier: Apache-2.0
"""Takes the runtimes' state folders, gives names by id: learns containers as they start.

A folder's modification time tells that a container has come or gone; a look takes microseconds,
twice a second. inotify would tell half a second sooner, but Python reaches it through ctypes
only (inotify_simple: +2.7 MiB, and it runs ldconfig), its instances run out on busy nodes, and
it has to be kept from overflowing. The half second is covered: a name that is not known yet is
read at the kill itself, and state outlives a kill by more than that takes.
"""

from __future__ import annotations

import sys
import threading
import time

from .docker import FOLDERS as DOCKER_FOLDERS
from .docker import docker
from .homes import USERS, Homes
from .oci import CONTAINERD_FOLDERS, CRIO_FOLDERS, Containerd, crio
from .podman import FOLDERS as PODMAN_FOLDERS
from .podman import Podman
from .state import StateError
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .state import Key, Known, Source

INTERVAL_SECONDS = 0.5
RESCAN_SECONDS = 60.0  # for what no folder's time tells, such as a container's new name
TRIES = 20  # looks for a state file that its runtime has yet to write


def default_sources(
    *,
    root: str = "",
    docker_folders: Sequence[str] = DOCKER_FOLDERS,
    containerd_folders: Sequence[str] = CONTAINERD_FOLDERS,
    crio_folders: Sequence[str] = CRIO_FOLDERS,
    podman_folders: Sequence[str] = PODMAN_FOLDERS,
    users: str | None = USERS,
) -> list[Source]:
    """Return every runtime's state; ``root`` goes before all paths, ``users`` None: no homes."""
    sources: list[Source] = [docker(root + folder) for folder in docker_folders]
    sources += [Containerd(root + folder) for folder in containerd_folders]
    sources += [crio(root + folder) for folder in crio_folders]
    sources += [Podman(root + folder) for folder in podman_folders]
    if users is not None:
        sources.append(Homes(root + users, root))
    return sources


_UNSETTLED = object()  # like no folder's stamp: look again


class _Seen:
    """What the last look at one source found."""

    def __init__(self) -> None:
        self.stamp: object = _UNSETTLED
        self.versions: dict[Key, object] = {}
        self.pending: dict[Key, int] = {}  # looks made so far for a file that is not there


class Watcher:
    """Names by id, from a store that a thread keeps up to date; a context manager."""

    def __init__(
        self,
        sources: Sequence[Source],
        store: Store | None = None,
        *,
        interval: float = INTERVAL_SECONDS,
        rescan: float = RESCAN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.store = Store() if store is None else store
        self._sources = tuple(sources)
        self._interval = interval
        self._rescan = rescan
        self._clock = clock
        self._log = log or _log
        self._logged: set[tuple[str, str]] = set()
        self._seen = [_Seen() for _ in self._sources]
        self._next_rescan = clock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def __enter__(self) -> Watcher:
        self._thread = threading.Thread(target=self._run, name="identity", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def lookup(self, ids: Sequence[str], owner: int = 0) -> Known | None:
        """Return the first of ``ids`` that is known, counting one miss if none is.

        A container the store does not have is read here and now: a few small files, no call to
        any runtime.
        """
        if self.failure is not None:
            raise self.failure
        reason = None
        for container_id in ids:
            key = (owner, container_id)
            known = self.store.lookup(key)
            if known is not None:
                return known
            for source in self._sources:
                try:
                    known = source.find(key)
                except StateError as error:
                    reason = error.reason
                    self._note(source, error)
                    continue
                if known is not None:
                    self.store.put(known)
                    return known
        self.store.missed(reason or ("not_found" if owner or self.present() else "no_state"))
        return None

    def present(self) -> list[str]:
        """Return the state folders that there are here."""
        return [source.folder for source in self._sources if source.stamp() is not None]

    def refresh(self) -> None:
        """Look at every source once; at all of its containers if that is due."""
        whole = self._clock() >= self._next_rescan
        if whole:
            self._next_rescan = self._clock() + self._rescan
        before = self.store.live() if whole else ()
        for source, seen in zip(self._sources, self._seen, strict=True):
            try:
                self._refresh(source, seen, whole=whole)
            except StateError as error:
                self._note(source, error)
        # One read on demand may have gone before any look saw it, or be in a home.
        for known in before:
            if not any(known.key() in seen.versions for seen in self._seen):
                self.store.gone(known.key())

    def _refresh(self, source: Source, seen: _Seen, *, whole: bool) -> None:
        stamp = source.stamp()
        if stamp == seen.stamp and not (whole or seen.pending):
            return
        keys = source.keys()
        for key in seen.versions.keys() - keys:
            del seen.versions[key]
            seen.pending.pop(key, None)
            self.store.gone(key)
        for key in keys if whole else (keys - seen.versions.keys()) | seen.pending.keys():
            self._learn(source, seen, key)
        seen.stamp = stamp if source.settled(stamp) else _UNSETTLED

    def _learn(self, source: Source, seen: _Seen, key: Key) -> None:
        version = source.version(key)
        if version is not None and version == seen.versions.get(key):
            return
        seen.versions[key] = version
        try:
            known = source.find(key)
        except StateError as error:
            self._note(source, error)
            version = known = None
        if known is not None:
            self.store.put(known)
        if known is not None or version is not None:  # or it is another runtime's
            seen.pending.pop(key, None)
            return
        # A folder comes before the file in it; a file that is damaged may be half written.
        seen.versions[key] = None
        tries = seen.pending.pop(key, 0) + 1
        if tries < TRIES:
            seen.pending[key] = tries

    def _run(self) -> None:
        try:
            while True:
                self.refresh()
                if self._stop.wait(self._interval):
                    return
        except Exception as error:  # noqa: BLE001 - raised again by the next lookup
            self.failure = error

    def _note(self, source: Source, error: StateError) -> None:
        """One line a source and reason; the count has the rest."""
        if (source.folder, error.reason) not in self._logged:
            self._logged.add((source.folder, error.reason))
            self._log(f"container-oomkill: read container state: {error}")


def _log(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the log
