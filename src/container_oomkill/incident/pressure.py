# SPDX-License-Identifier: Apache-2.0
"""Adds how long a cgroup had been short of memory: its memory.pressure, memory.events, memory.stat.

Read from the cgroup file system as soon as the record is here, milliseconds after the kill.
The kernel works out the averages of memory.pressure every two seconds (PSI_FREQ,
kernel/sched/psi.c), so within that time they are those of the kill; what is read later is left out.
So is a folder that is another cgroup's by now, or of another cgroup namespace: its inode number is
the cgroup's id. cgroup v1 has the last of the three files only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from ..units import NS
from .before import Averages, Before, Events, EventsOf, Pressure, Stalls
from .model import Incident

LATEST_SECONDS = 2.0
ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/memory")  # v2, v1
MOST = 16384  # bytes; the longest of the files has a fifth of that

Found = tuple[Stalls | None, EventsOf | None]
NOTHING: Found = (None, None)


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class PressureReader:
    """Completes incidents; of a group once, with its first victim."""

    def __init__(self, root: str = "", *, boot_ns: Callable[[], int] = _boot_ns) -> None:
        """``root``: where the host's file system is mounted, as for the runtimes' state."""
        self._roots = tuple(dict.fromkeys([f"{at}{each}" for at in (root, "") for each in ROOTS]))
        self._boot_ns = boot_ns
        self._last: tuple[int, int] | None = None

    def __call__(self, incident: Incident) -> Incident:
        """Return ``incident``, with what could be read of its domain and its victim's cgroup."""
        this = (incident.boot_ns, incident.sequence)
        since = (self._boot_ns() - incident.boot_ns) / NS
        if this == self._last or not 0 <= since <= LATEST_SECONDS:
            return incident
        self._last = this
        domain, victim = incident.domain, incident.victims[0]
        of_domain = of_victim = NOTHING
        if domain is not None:
            of_domain = self._read(domain.cgroup, domain.cgroup_id)
        if domain is None or victim.cgroup_id != domain.cgroup_id:
            of_victim = self._read(victim.cgroup, victim.cgroup_id)
        if of_domain == of_victim == NOTHING:
            return incident
        pressure = Pressure(of_domain[0], of_victim[0])
        events = Events(of_domain[1], of_victim[1])
        before = replace(
            incident.before or Before(),
            pressure=None if pressure == Pressure() else pressure,
            events=None if events == Events() else events,
            read_after_seconds=round(since, 6),
        )
        return incident.changed(before=before)

    def _read(self, path: str | None, number: int | None) -> Found:
        if not path or not path.startswith("/") or number is None:
            return NOTHING
        for root in self._roots:
            try:
                folder = os.open(f"{root}{path}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except (OSError, ValueError):
                continue
            try:
                if os.fstat(folder).st_ino == number:
                    return _stalls(folder), _events(folder)
            finally:
                os.close(folder)
        return NOTHING


def _stalls(folder: int) -> Stalls | None:
    found = {}
    for line in _lines(folder, "memory.pressure"):
        kind, *fields = line.split()
        found[kind] = _averages(fields)
    stalls = Stalls(found.get("some"), found.get("full"))
    return None if stalls == Stalls() else stalls


def _averages(fields: list[str]) -> Averages | None:
    values = dict(field.partition("=")[::2] for field in fields)
    try:
        return Averages(*(float(values[name]) for name in ("avg10", "avg60", "avg300")))
    except (KeyError, ValueError):
        return None


def _events(folder: int) -> EventsOf | None:
    found, stat = _numbers(folder, "memory.events"), _numbers(folder, "memory.stat")
    faults = stat.get("total_pgmajfault", stat.get("pgmajfault"))  # v1 has both
    events = EventsOf(found.get("max"), found.get("high"), faults)
    return None if events == EventsOf() else events


def _numbers(folder: int, name: str) -> dict[str, int]:
    try:
        return {word: int(number) for word, number in map(str.split, _lines(folder, name))}
    except ValueError:
        return {}


def _lines(folder: int, name: str) -> list[str]:
    """Of a file of the kernel; none where it is not there, or off."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        try:
            return os.read(file, MOST).decode("ascii", "replace").splitlines()
        finally:
            os.close(file)
    except OSError:
        return []
