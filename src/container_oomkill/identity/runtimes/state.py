# SPDX-License-Identifier: Apache-2.0
"""Takes a runtime's state folder, gives what its files say of a container; reads, never writes.

The files are not trusted: a user owns the rootless ones, and labels come with an image. Hence
no symbolic link is followed below a folder, a read is bounded and never blocks on a pipe, and a
text that does not print is no name. Whatever is wrong is one `StateError` with a reason; a file
that was wrong is not read again until it changes, however many kills ask for it.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time

from ...system import bounded_json
from ..metadata import MIB, ContainerMetadata, Key, is_id
from .excerpt import TooBigError, excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from .excerpt import Keys

BIG = 4 * MIB  # of root's state: more than a container's environment can be
USERS = MIB >> 4  # of a user's own state, which anything may be in; some 80 containers of Podman's
WRONG_MAX = 1024  # files remembered as wrong
TICK_NS = 50_000_000  # longer than the kernel takes for one, 1 to 10 ms
POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
_REASONS = {
    errno.ENOENT: "missing",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.ELOOP: "symlink",
    errno.ENOTDIR: "symlink",  # what O_NOFOLLOW | O_DIRECTORY says of one
}


class StateError(Exception):
    """A state file that was not read; `reason` is one word, made for a metric's label."""

    def __init__(self, reason: str, path: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


if TYPE_CHECKING:

    class RuntimeState(Protocol):
        """One runtime's state."""

        runtime: str
        folder: str

        def watched(self) -> list[str]:
            """Return the folders in which something happens when a container comes or goes."""

        def stamp(self) -> object:
            """Return what changes when a container comes or goes; None: no such folder."""

        def settled(self, stamp: object) -> bool:
            """Tell whether a later change cannot have the same stamp."""

        def keys(self) -> set[Key]:
            """Return the containers there are; `StateError` if that cannot be told."""

        def version(self, key: Key) -> object:
            """Return what changes when what is known of one container does."""

        def find(self, key: Key) -> ContainerMetadata | None:
            """Return what is known of one container; `StateError` if that cannot be read."""


def read_json(folder: str, *names: str, limit: int = MIB, keep: Keys | None = None) -> Any:
    """Return the file ``folder/names...`` decoded; links in ``folder`` itself are followed.

    Of one above ``limit`` with ``keep``, and up to BIG, those keys alone.
    """
    path = "/".join((folder, *names))
    if any(name in ("", ".", "..") or "/" in name or "\0" in name for name in names):
        raise StateError("bad_name", path)
    try:
        file = _open(folder, names)
        try:
            return _content(file, path, limit, keep)
        finally:
            os.close(file)
    except OSError as error:
        raise StateError(_REASONS.get(error.errno or 0, "unreadable"), path) from None


def _open(folder: str, names: tuple[str, ...]) -> int:
    at = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names[:-1]:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(name, flags, dir_fd=at)
            os.close(at)
            at = below
        # O_NONBLOCK: the open of a pipe would wait for its writer
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(names[-1], flags, dir_fd=at)
    finally:
        os.close(at)


_wrong: dict[object, str] = {}  # what identifies a file's content: why it is not read
_wrong_lock = threading.Lock()


def _content(file: int, path: str, limit: int, keep: Keys | None) -> Any:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise StateError("not_a_file", path)
    # The time of change is the kernel's: no user can set it back.
    version = status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size, limit
    if (known := _wrong.get(version)) is not None:
        raise StateError(known, path)
    try:
        return _decode(_read(file, limit if keep is None else BIG), limit, keep)
    except TooBigError:
        reason = "too_big"
    except ValueError:  # not JSON, not UTF-8, a number or a nesting too long
        reason = "not_json"
    if is_settled((status.st_ctime_ns,)):
        with _wrong_lock:
            if len(_wrong) >= WRONG_MAX:
                del _wrong[next(iter(_wrong))]
            _wrong[version] = reason
    raise StateError(reason, path)


def _read(file: int, limit: int) -> bytes:
    with os.fdopen(file, "rb", closefd=False) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise TooBigError
    return data


def _decode(data: bytes, limit: int, keep: Keys | None) -> Any:
    if keep is None or len(data) <= limit:
        return bounded_json.loads(data)
    try:
        return excerpt(data, keep)
    except (ValueError, RecursionError):  # nor is it read to see what is wrong
        raise TooBigError from None


def stamp_of(path: str) -> tuple[int, int, int] | None:
    """Return (mtime in ns, inode, size), or None if there is nothing at ``path``."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as often as anything happens
    except (OSError, ValueError):  # ValueError: a NUL in it
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def names_in(folder: str) -> list[str]:
    """Return a folder's entries; none if it is not there, `StateError` if it is not readable."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - with a thousand containers in it
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateError(_REASONS.get(error.errno or 0, "unreadable"), folder) from None


class Folder:
    """A state folder with a folder per container, named by its id: ``<folder>/<id>/<file>``."""

    def __init__(
        self,
        runtime: str,
        folder: str,
        inside: tuple[str, ...],
        file: tuple[str, ...],
        read: Callable[[Key, Any], ContainerMetadata | None],
        owner: int = 0,
        keep: Keys | None = None,
    ) -> None:
        """``inside``: the way from ``folder`` on, where its parts are not trusted either.

        ``keep``: what ``read`` looks at, for a file that is large; of root's only.
        """
        self.runtime = runtime
        self.folder = folder
        self._inside = inside
        self._file = file
        self._read = read
        self._owner = owner
        self._keep = None if owner else keep

    def _path(self, *more: str) -> str:
        return "/".join((self.folder, *self._inside, *more))

    def watched(self) -> list[str]:
        return [self._path()]

    def stamp(self) -> tuple[int, int, int] | None:
        return stamp_of(self._path())

    def settled(self, stamp: object) -> bool:
        return is_settled(stamp)

    def keys(self) -> set[Key]:
        return {(self._owner, name) for name in names_in(self._path()) if is_id(name)}

    def version(self, key: Key) -> object:
        return stamp_of(self._path(key[1], *self._file))

    def find(self, key: Key) -> ContainerMetadata | None:
        if key[0] != self._owner or not is_id(key[1]):
            return None
        try:
            document = read_json(
                self.folder,
                *(*self._inside, key[1], *self._file),
                limit=USERS if self._owner else MIB,
                keep=self._keep,
            )
        except StateError as error:
            if error.reason == "missing":
                return None
            raise
        return self._read(key, document)


class FoldersBelow:
    """A folder that has state folders below it, which come and go: ``<folder>/<name>/...``."""

    def __init__(self, runtime: str, folder: str, below: Callable[[str], Folder | None]) -> None:
        """``below``: the state folder that an entry of ``folder`` has; None: it is none."""
        self.runtime = runtime
        self.folder = folder
        self._of = below
        self._listed: tuple[object, list[Folder]] = (None, [])

    def _below(self) -> list[Folder]:
        """Return the state folders; listed again when there may be others."""
        stamp = stamp_of(self.folder)
        if stamp is None or stamp != self._listed[0]:
            below = filter(None, map(self._of, sorted(names_in(self.folder))))
            self._listed = (stamp if is_settled(stamp) else None, list(below))
        return self._listed[1]

    def watched(self) -> list[str]:
        try:
            below = self._below()
        except StateError:
            below = []
        return [self.folder, *(path for each in below for path in each.watched())]

    def stamp(self) -> object:
        own = stamp_of(self.folder)
        if own is None:
            return None
        return [own, *(each.stamp() for each in self._below())]

    def settled(self, stamp: object) -> bool:
        return not isinstance(stamp, list) or all(map(is_settled, stamp))

    def keys(self) -> set[Key]:
        return set().union(*(each.keys() for each in self._below()))

    def version(self, key: Key) -> object:
        return next(filter(None, (each.version(key) for each in self._below())), None)

    def find(self, key: Key) -> ContainerMetadata | None:
        return next(filter(None, (each.find(key) for each in self._below())), None)


def is_settled(stamp: object) -> bool:
    """A folder's mtime has a clock tick for its unit: two changes in one tick look like one."""
    return not isinstance(stamp, tuple) or time.time_ns() - stamp[0] > TICK_NS
