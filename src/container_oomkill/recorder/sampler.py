# SPDX-License-Identifier: Apache-2.0
"""Records what the flight recorder would, by a thread that reads the cgroups' files.

For kernels that refuse the recorder: those before 5.15, and PREEMPT_RT. Each tick costs a wake-up
and some microseconds for each cgroup (docs/architecture.md), so it runs only if it is asked for. It
sees what lives in its own time: nothing is recorded while no process runs.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..incident.before import SAMPLER, Before
from ..incident.before_decoder import decode_before
from ..incident.model import Incident
from ..system.closeable import Closeable
from ..system.worker import Worker
from .rings import MOST_PAGES, SAMPLES, Ring
from .settings import NS, RecorderSettings

# The memory hierarchy below a root, a cgroup's usage, its limit
LAYOUTS = (
    ("sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.limit_in_bytes"),
    ("sys/fs/cgroup", "memory.current", "memory.max"),
)
SELDOM = 5  # ticks from one look at a limit, and into a folder without others, to the next
FILES_SPARE = 256  # for everything else


class _Cgroup:
    """A folder: its ring, if it has memory of its own and there is room, and those below it."""

    __slots__ = ("below", "file", "is_new", "path", "ring")

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_new = True  # nobody has looked into it
        self.below: dict[str, _Cgroup] = {}
        self.file = -1  # descriptor of its usage
        self.ring: Ring | None = None

    def is_due(self, tick: int) -> bool:
        """Whether it is its turn for what is done seldom: a part of them each tick."""
        return self.ring is None or (tick + self.ring.id) % SELDOM == 0

    def close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def all(self) -> Iterator[_Cgroup]:
        for each in self.below.values():
            yield each
            yield from each.all()


def find_layout(root: str) -> tuple[str, str, str] | None:
    """Return the memory hierarchy's folder and its files' names; None: it cannot be seen."""
    for (folder, usage, limit), tells in zip(LAYOUTS, (_has_usage, _has_controller), strict=True):
        if tells(f"{root}/{folder}", usage):
            return f"{root}/{folder}", usage, limit
    return None


def _has_usage(folder: str, usage: str) -> bool:
    return os.path.exists(f"{folder}/{usage}")


def _has_controller(folder: str, _: str) -> bool:
    """The root of v2 has no usage of its own, and at first nothing below it."""
    try:
        with open(f"{folder}/cgroup.controllers", encoding="ascii") as file:
            return "memory" in file.read().split()
    except OSError:
        return False


class Sampler(Closeable):
    """Samples from `start` on; completes the incidents that come, each once."""

    def __init__(
        self,
        settings: RecorderSettings,
        layout: tuple[str, str, str],
        *,
        boot_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        """``layout``: from `find_layout`."""
        folder, self._usage, self._limit = layout
        self._tick_ns = settings.tick_ns()
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._most = min(settings.max_cgroups, _files_allowed(settings.max_cgroups))
        self._boot_ns = boot_ns
        self._root = _Cgroup(folder)
        self._by_id: dict[int, Ring] = {}
        self._walks: deque[tuple[int, int]] = deque(maxlen=SAMPLES)  # each one's tick, and its end
        self._lock = threading.Lock()
        self._worker = Worker("sampler")
        self._last: tuple[int, int] | None = None  # the incident that was completed last
        self._counts = dict.fromkeys(
            ("goes", "walks", "missed_ticks", "cut_walks", "cgroups", "busy_ns", "longest_ns"), 0
        )
        self._tick = -1

    def start(self) -> None:
        self._worker.start(self._run)

    def status(self) -> dict[str, int]:
        """Return what it has counted, as the recorder in the kernel does."""
        return self._counts | {"recorded": len(self._by_id)}

    def __call__(self, incident: Incident) -> Incident:
        """Return it with the series of its domain and its victim's cgroup, as of the kill."""
        self._worker.check()
        this = (incident.boot_ns, incident.sequence)
        known = incident.before or Before()
        if this == self._last or known.source is not None:
            return incident
        self._last = this
        domain, victim = incident.domain, incident.victims[0]
        of_domain = None if domain is None else domain.cgroup_id
        of_victim = None if victim.cgroup_id == of_domain else victim.cgroup_id
        raw = {"tick_ns": self._tick_ns, "header.boot_ns": incident.boot_ns}
        with self._lock:
            # What a walk under way at the kill has read may be of after it: memory given back.
            ended = (tick for tick, end in reversed(self._walks) if end <= incident.boot_ns)
            tick = next(ended, -1)
            for name, number in (("domain", of_domain), ("victim", of_victim)):
                ring = None if number is None else self._by_id.get(number)
                fields = Ring.none() if ring is None else ring.until(tick)
                raw |= {f"{name}.{key}": value for key, value in fields.items()}
        return incident.changed(
            before=replace(decode_before(raw, self._page, known), source=SAMPLER)
        )

    def close(self) -> None:
        if self._worker.close():
            for each in self._root.all():
                each.close()

    def _run(self) -> None:
        while not self._worker.ending:
            self.sample()
            self._worker.pause((self._tick_ns - self._boot_ns() % self._tick_ns) / NS)

    def sample(self) -> None:
        """Take one sample of every cgroup."""
        began, now = time.thread_time_ns(), self._boot_ns() // self._tick_ns
        if now <= self._tick:
            return
        counts = self._counts
        if self._tick >= 0:
            counts["missed_ticks"] += now - self._tick - 1
        with self._lock:
            seen = self._visit(self._root, now)
            self._walks.append((now, self._boot_ns()))
        self._tick = now
        took = time.thread_time_ns() - began
        counts["goes"] += 1
        counts["walks"] += 1
        counts["cgroups"] = seen
        counts["busy_ns"] += took
        counts["longest_ns"] = max(counts["longest_ns"], took)

    def _visit(self, at: _Cgroup, tick: int) -> int:
        """Sample what is below a folder, deepest last; return how many cgroups that were."""
        if at.below or at.is_new or at.is_due(tick):
            at.is_new = False
            try:
                # A folder of kernfs has as many links as folders, and two.
                if os.stat(at.path).st_nlink != len(at.below) + 2:
                    self._look(at, tick)
            except OSError:  # it is gone
                return 0
        seen = 0
        for each in tuple(at.below.values()):
            if each.file >= 0 and not self._read(each, tick):
                self._drop(at, each)
                continue
            seen += 1 + self._visit(each, tick)
        return seen

    def _look(self, at: _Cgroup, tick: int) -> None:
        """Find what was made and removed in a folder."""
        with os.scandir(at.path) as found:
            names = {each.name for each in found if each.is_dir(follow_symlinks=False)}
        for name in at.below.keys() - names:
            self._drop(at, at.below[name])
        for name in names - at.below.keys():
            made = at.below[name] = _Cgroup(f"{at.path}/{name}")
            if len(self._by_id) < self._most:
                self._open(made, tick)

    def _open(self, made: _Cgroup, tick: int) -> None:
        try:
            made.file = os.open(f"{made.path}/{self._usage}", os.O_RDONLY | os.O_CLOEXEC)
            number = os.stat(made.path).st_ino
        except OSError:  # it has no memory of its own, or is gone
            made.close()
            return
        # What is there at the first look is older than this.
        made.ring = Ring(number, tick, self._read_limit(made), self._page, whole=self._tick >= 0)
        self._by_id[number] = made.ring

    def _read(self, of: _Cgroup, tick: int) -> bool:
        """Whether it is still there."""
        ring = of.ring
        if ring is None:
            return True
        try:
            usage = int(os.pread(of.file, 32, 0))
        except (OSError, ValueError):
            return False
        if of.is_due(tick):
            ring.limit_is(self._read_limit(of), tick)
        ring.take(tick, usage // self._page)
        return True

    def _read_limit(self, of: _Cgroup) -> int:
        """In pages; what is none is as large as can be."""
        try:
            file = os.open(f"{of.path}/{self._limit}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return min(int(os.pread(file, 32, 0)) // self._page, MOST_PAGES)
            finally:
                os.close(file)
        except (OSError, ValueError):  # "max"
            return MOST_PAGES

    def _drop(self, parent: _Cgroup, gone: _Cgroup) -> None:
        del parent.below[os.path.basename(gone.path)]
        for each in (gone, *gone.all()):
            each.close()
            if each.ring is not None and self._by_id.get(each.ring.id) is each.ring:
                del self._by_id[each.ring.id]


def _files_allowed(wanted: int) -> int:
    """Ask for as many open files as that takes; return how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted + FILES_SPARE
    if need > soft:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, soft - FILES_SPARE)
