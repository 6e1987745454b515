# SPDX-License-Identifier: Apache-2.0
"""Takes the runtimes' state folders, gives names by id: learns containers as they start.

inotify says that a container has come or gone; what there is, the folders say, so that nothing
depends on any one event. All of it is looked at again after an overflow and once a minute. A name
that is not known yet when it is asked for is read there and then, and so is one that has changed.
"""

from __future__ import annotations

import time

from ..incident.container import NO_STATE, NOT_FOUND
from ..system import log
from ..system.closeable import Closeable
from ..system.worker import Worker
from .folder_watch import INTERVAL_SECONDS, FolderWatch
from .runtimes.state import StateError
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from .metadata import ContainerMetadata, Key
    from .runtimes.state import RuntimeState

RESCAN_SECONDS = 60.0  # for what no folder's time tells, such as a container's new name
GIVE_UP_SECONDS = 10.0  # on a state file that its runtime has yet to write
DAMAGED_SECONDS = 1.0  # no file is half written for longer
PENDING_SECONDS = 0.02  # until the second look for one; the next ones come ever later

_UNSETTLED = object()  # like no folder's stamp: look again


class _Seen:
    """What the last look at one source found."""

    def __init__(self) -> None:
        self.stamp: object = _UNSETTLED
        self.versions: dict[Key, object] = {}
        self.pending: dict[Key, float] = {}  # since when a file is waited for


class ContainerDiscovery(Closeable):
    """Names by id, from a store that a thread keeps up to date; a context manager."""

    def __init__(
        self,
        sources: Sequence[RuntimeState],
        store: Store | None = None,
        *,
        interval: float = INTERVAL_SECONDS,
        rescan: float = RESCAN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = Store() if store is None else store
        self._sources = tuple(sources)
        self._interval = interval
        self._rescan = rescan
        self._clock = clock
        self._logged: set[tuple[str, str]] = set()
        self._seen = [_Seen() for _ in self._sources]
        self._next_rescan = clock()
        self._folders: FolderWatch | None = None
        self.worker = Worker("identity")

    def __enter__(self) -> Self:
        folders = self._folders = FolderWatch(interval=self._interval)
        self.worker.start(lambda: self._run(folders), wake=folders.end)
        return self

    def close(self) -> None:
        """Stop the thread."""
        if self.worker.close() and self._folders is not None:
            self._folders.close()
            self._folders = None

    def lookup(self, container_id: str, owner: int = 0) -> ContainerMetadata | str:
        """Return what is known of a container of uid ``owner``'s; if nothing is, one word why.

        A container the store does not have is read here and now, and so is one whose state is
        not as it was: a few small files, no call to any runtime.
        """
        self.worker.check()
        key = (owner, container_id)
        known = self.store.lookup(key)
        if known is not None:
            return self._renewed(known)
        reason = None
        for source in self._sources:
            try:
                known = source.find(key)
            except StateError as error:
                reason = reason or error.reason  # its own file's, before that of a list of others
                self._note(source, error)
                continue
            if known is not None:
                self.store.put(known)
                return known
        return reason or (NOT_FOUND if owner or self.present() else NO_STATE)

    def _renewed(self, known: ContainerMetadata) -> ContainerMetadata:
        """Return what its state says by now, if it is still there: it may have another name."""
        key = known.key()
        for source, seen in zip(self._sources, self._seen, strict=True):
            before = seen.versions.get(key)
            if before is None:
                continue
            try:
                version = source.version(key)
                found = source.find(key) if version not in (None, before) else None
            except StateError as error:
                self._note(source, error)
                continue
            if found is not None and found.facts() >= known.facts():
                self.store.put(found)
                return found
        return known

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

    def patience(self) -> float:
        """Return how long nothing need be looked at, as long as no event says otherwise."""
        now = self._clock()
        waits = [self._next_rescan - now]
        for seen in self._seen:
            waits += [max(PENDING_SECONDS, (now - since) / 2) for since in seen.pending.values()]
        return min(waits)

    def _refresh(self, source: RuntimeState, seen: _Seen, *, whole: bool) -> None:
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

    def _learn(self, source: RuntimeState, seen: _Seen, key: Key) -> None:
        version = source.version(key)
        if version is not None and version == seen.versions.get(key):
            return
        first = key not in seen.versions
        seen.versions[key] = version
        known, wrong = None, None
        try:
            known = source.find(key)
        except StateError as error:
            version, wrong = None, error
        if known is not None:
            self.store.put(known)
        if known is not None or version is not None:  # or it is another runtime's
            seen.pending.pop(key, None)
            return
        # A folder comes before the file in it; a file that is damaged may be half written.
        seen.versions[key] = None
        now = self._clock()
        since = now if first else seen.pending.pop(key, None)
        if since is not None and now - since < GIVE_UP_SECONDS:
            seen.pending[key] = since
        if wrong is not None and (since is None or now - since > DAMAGED_SECONDS):
            self._note(source, wrong)

    def _run(self, folders: FolderWatch) -> None:
        while not self.worker.ending:
            # Before the look: what happens after it ends the wait.
            folders.watch([folder for source in self._sources for folder in source.watched()])
            self.refresh()
            if folders.wait(self.patience()):
                self._next_rescan = self._clock()

    def _note(self, source: RuntimeState, error: StateError) -> None:
        """One line a source and reason; the count has the rest."""
        if (source.folder, error.reason) not in self._logged:
            self._logged.add((source.folder, error.reason))
            log.warn(f"read container state: {error}")
