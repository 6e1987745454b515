# SPDX-License-Identifier: Apache-2.0
"""Hooks and rings that stay in the kernel between processes, pinned on a bpf file system.

    DIR/checkpoint-1                  what has been delivered (`checkpoint.py`)
    DIR/3-layout1-fentry-89abcdef/    one generation: its number, the layout of its records, the
        ring, PROGRAM..., counters    hook, a checksum of object and settings; its maps and links

While no process runs, the links keep the programs attached and the ring keeps what they record.
The next start opens the same maps. Another object, or other settings, make a new generation: it is
attached first, then the older one is drained and removed (`pipeline/`). ``counters`` is pinned
last, so a folder that has it is complete.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re

from .. import libbpf
from ..errors import BpfError, Error, HeldError, UnsupportedError
from ..incident import wire
from ..system.closeable import Closeable
from .checkpoint import SIZE, Checkpoint, PinnedCheckpoint
from .own_folder import OwnFolder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

USUAL_MOUNT = "/sys/fs/bpf"
DEFAULT_FOLDER = f"{USUAL_MOUNT}/container-oomkill"  # never on a mount that was merely found
CHECKPOINT = "checkpoint-1"
READ = ("ring", "counters")  # an older version's folder has them as well
MAPS = (*READ, "functions")
NAME = re.compile(r"(\d+)-layout(\d+)-([a-z_]+)-([0-9a-f]{8})", re.ASCII)
HOW_TO_MOUNT = f"mount -t bpf bpf {USUAL_MOUNT}, or -v {USUAL_MOUNT}:{USUAL_MOUNT} for a container"


class Generation(Closeable):
    """Hooks and maps of one attaching, on the bpf file system."""

    def __init__(self, parent: OwnFolder, name: str) -> None:
        """``parent`` stays the caller's. `ValueError` for a name that is none."""
        found = NAME.fullmatch(name)
        if found is None:
            raise ValueError(name)
        self.name = name
        self._parent = parent
        self.folder = f"{parent.path}/{name}"
        self.number, self.layout = int(found[1]), int(found[2])
        self.hook, self.checksum = found[3], int(found[4], 16)
        self._maps = libbpf.PinnedMaps(self.folder)
        self._ring: libbpf.Ring | None = None
        self._counters: libbpf.Shared | None = None

    def attached_at(self) -> float:
        """When it was whole: seconds since the epoch, by the clock of then."""
        return os.stat(f"{self.folder}/counters").st_mtime

    def map_fd(self, name: str) -> int:
        return self._maps.map_fd(name)

    def open(self) -> None:
        """Map ring and counters, while bpf() may still be called."""
        self.ring  # noqa: B018 - it maps
        self.counters()

    @property
    def ring(self) -> libbpf.Ring:
        if self._ring is None:
            self._ring = libbpf.Ring(self.map_fd("ring"))
        return self._ring

    def counters(self) -> dict[str, int]:
        """Return what its kernel side counted (struct oomkill_counters)."""
        if self._counters is None:
            fd = self.map_fd("counters")
            self._counters = libbpf.Shared(fd, wire.COUNTERS.size)
        return wire.COUNTERS.unpack(self._counters.read())

    def keep(self, loaded: libbpf.LoadedObject | Generation, names: Sequence[str]) -> None:
        """Pin further maps beside the ones it has."""
        for name in names:
            libbpf.pin(loaded.map_fd(name), f"{self.folder}/{name}")

    def has(self, names: Sequence[str]) -> bool:
        with self._parent.below(self.name) as folder:
            return set(names) <= set(folder.names())

    def is_sound(self) -> bool:
        """Whether it is whole, and its ring is one: all that another layout is asked for."""
        try:
            return self.has(READ) and self.ring.size > 0
        except (OSError, ValueError):
            return False

    def records(self) -> int:
        """Return how many records of whatever layout wait in the ring."""
        return _records(self.ring)

    def detach(self) -> None:
        """Take its programs off their hooks, and end its recorder; the other maps stay."""
        self._unlink(lambda name: name not in MAPS)

    def remove(self) -> None:
        """Detach it and discard what its ring still has."""
        self.detach()
        self._unlink(lambda _: True)
        self._parent.rmdir(self.name)
        self.close()

    def _unlink(self, wanted: Callable[[str], bool]) -> None:
        with self._parent.below(self.name) as folder:
            for name in filter(wanted, folder.names()):
                folder.unlink(name)

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()
        if self._counters is not None:
            self._counters.close()
        self._ring = self._counters = None
        self._maps.close()


class Pins(Closeable):
    """The folder, ours alone until `close`. Raises `HeldError` while another process has it."""

    def __init__(self, folder: str | None = None, *, proc: str = "/proc") -> None:
        self.folder = folder or DEFAULT_FOLDER
        self._open: OwnFolder | None = None
        self.checkpoint: Checkpoint = Checkpoint()
        try:
            self._require_bpf(proc)
            self._open = OwnFolder.open(self.folder, make=True)
            self.folder = self._open.path
            self._take_lock(proc)
            self.checkpoint = self._open_checkpoint()
            self._remove_unfinished()
        except BpfError as error:
            self.close()
            raise _cannot_pin(self.folder, error.errno, str(error)) from error
        except OSError as error:
            self.close()
            raise _cannot_pin(self.folder, error.errno, (error.strerror or "").lower()) from error
        except BaseException:
            self.close()
            raise

    def generations(self) -> list[Generation]:
        """Return what is pinned, oldest first."""
        found = [Generation(self._own, name) for name in self._names()]
        return sorted(found, key=lambda each: each.number)

    def generation(self, number: int) -> Generation | None:
        """Return one by its number."""
        return next((each for each in self.generations() if each.number == number), None)

    def resumable(self, hook: str, checksum: int, programs: Sequence[str]) -> Generation | None:
        """Return the newest generation if it is the very one asked for, and still attached."""
        for newest in self.generations()[-1:]:
            found = (newest.layout, newest.hook, newest.checksum)
            if found == (wire.lib.OOMKILL_LAYOUT, hook, checksum) and newest.has(
                (*programs, *MAPS)
            ):
                return newest
        return None

    def keep(
        self,
        hook: str,
        checksum: int,
        loaded: libbpf.LoadedObject,
        links: Mapping[str, libbpf.Link],
    ) -> int:
        """Pin what was just attached, and return its number; undone if the kernel refuses."""
        number = (
            max([self.checkpoint.generation, *(each.number for each in self.generations())]) + 1
        )
        name = f"{number}-layout{wire.lib.OOMKILL_LAYOUT}-{hook}-{checksum:08x}"
        made = Generation(self._own, name)
        os.mkdir(name, 0o700, dir_fd=self._own.fd)
        try:
            libbpf.pin(loaded.map_fd("ring"), f"{made.folder}/ring")
            for program, link in links.items():
                link.pin(f"{made.folder}/{program}")
            libbpf.pin(loaded.map_fd("functions"), f"{made.folder}/functions")
            libbpf.pin(loaded.map_fd("counters"), f"{made.folder}/counters")
        except BaseException:
            made.remove()
            raise
        return number

    def older(
        self, current: int, ring: libbpf.Ring, kills: int | None
    ) -> tuple[list[Generation], int]:
        """Return the generations to read before the ``current`` one, oldest first.

        And how many records of a layout that is not ours were discarded. ``ring``: of the current
        one; ``kills``: the kernel's count before it was attached.
        """
        before, discarded = [], 0
        for each in self.generations():
            if each.number == current:
                continue
            if each.number < self.checkpoint.generation:
                each.remove()  # it was read to its end
            elif each.layout == wire.lib.OOMKILL_LAYOUT:
                each.open()
                before.append(each)
            else:
                discarded += _discard(each, ring)
        first = before[0].number if before else current
        if self.checkpoint.generation != first:
            known = self.checkpoint.kills if self.checkpoint.generation else kills
            self.checkpoint.start(first, known)
        return before, discarded

    def remove(self) -> list[tuple[str, int]]:
        """Detach and remove everything; the name and the undelivered records of each."""
        removed = []
        for each in self.generations():
            removed.append((each.name, each.records()))
            each.remove()
        self.checkpoint.close()
        self._own.unlink(CHECKPOINT)
        os.rmdir(self.folder)
        return removed

    def close(self) -> None:
        self.checkpoint.close()
        if self._open is not None:
            self._open.close()

    @property
    def _own(self) -> OwnFolder:
        assert self._open is not None  # noqa: S101 - since __init__
        return self._open

    def _names(self) -> list[str]:
        return [name for name in self._own.names() if NAME.fullmatch(name)]

    def _require_bpf(self, proc: str) -> None:
        where = os.path.abspath(self.folder)
        if not any(where.startswith(mount + "/") for mount in bpf_mounts(proc)):
            raise OSError(errno.EINVAL, "not on a bpf file system")

    def _take_lock(self, proc: str) -> None:
        try:
            fcntl.flock(self._own.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _holder(self._own.fd, proc)
            raise HeldError(
                f"pins in {self.folder} are in use by {who}: stop it, or --pin another directory"
            ) from None

    def _open_checkpoint(self) -> Checkpoint:
        path = f"{self.folder}/{CHECKPOINT}"
        if not os.path.exists(path):
            made = libbpf.make_shared("checkpoint", SIZE)
            try:
                libbpf.pin(made, path)
            finally:
                os.close(made)
        with libbpf.PinnedMaps(self.folder) as maps:
            return PinnedCheckpoint(maps.map_fd(CHECKPOINT))

    def _remove_unfinished(self) -> None:
        """Remove what a process was pinning when it was killed, and what is no ring of anybody's.

        What was there before stays.
        """
        for each in self.generations():
            if not each.is_sound():
                each.remove()
            each.close()


def _records(ring: libbpf.Ring) -> int:
    """Those of kills: what is sent ahead of one is a part of its record."""
    return sum(1 for data, _ in ring.read() if not wire.is_part(data))


def _discard(foreign: Generation, ring: libbpf.Ring) -> int:
    """Detach and remove it unread; how many records it had that ``ring`` does not have as well."""
    foreign.detach()
    both = _records(ring)
    ring.rewind()
    alone = max(0, foreign.records() - both)
    foreign.remove()
    return alone


def bpf_mounts(proc: str = "/proc") -> list[str]:
    """Return where bpf file systems are mounted; the usual place where /proc does not say."""
    try:
        with open(f"{proc}/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split(" ") for line in file]
    except OSError:
        return [USUAL_MOUNT]
    return [_unescaped(fields[1]) for fields in lines if fields[2] == "bpf"]


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _holder(fd: int, proc: str) -> str:
    """Who has the lock, by /proc/locks: its pid as seen from here."""
    status = os.fstat(fd)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open(f"{proc}/locks", encoding="ascii") as file:
            for line in file:
                fields = line.split()
                if "FLOCK" in fields and device in fields:
                    return f"process {fields[fields.index(device) - 1]}"
    except (OSError, ValueError):
        pass
    return "another process, perhaps in another container"


def _cannot_pin(folder: str, number: int | None, words: str) -> Error:
    remedies = {
        errno.EROFS: "make it writable: mount -o remount,rw " + USUAL_MOUNT,
        errno.ENOENT: HOW_TO_MOUNT,
        errno.EINVAL: HOW_TO_MOUNT,
    }
    how = remedies.get(number or 0, "run as root")
    return UnsupportedError(f"pin the hooks in {folder}: {words}: {how}")
