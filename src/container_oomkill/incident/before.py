# SPDX-License-Identifier: Apache-2.0
"""What memory did before the kill, as the flight recorder has it: a part of the `Incident`.

The attribute names are the JSON keys (docs/record.md). Times are seconds before the kill.
"""

from __future__ import annotations

from dataclasses import dataclass

KERNEL = "kernel"  # recorded by a timer in the kernel
SAMPLER = "sampler"  # by a thread of ours, where the kernel refuses that


@dataclass(frozen=True, slots=True)
class Series:
    """Usage at regular intervals, oldest first.

    ``newest_before_seconds``: when the last value's period began. In the finest series a value is
    the usage at the begin of its period; in a coarser one, the largest of those in it.
    """

    period_seconds: float
    newest_before_seconds: float
    usage_bytes: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """From then on the limit was this one; None: there was none."""

    before_seconds: float
    limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class Recording:
    """One memory cgroup; ``series``: finest first, each longer than the one before."""

    recorded_seconds: float | None = None  # how long it was recorded
    whole_life: bool | None = None  # it was made after the recorder was started
    at_limit_seconds: float | None = None  # without a break, up to the kill; 0: less than a period
    series: tuple[Series, ...] = ()
    limits: tuple[Limit, ...] = ()  # oldest first


@dataclass(frozen=True, slots=True)
class Usage:
    """Of the domain, and of the victim's cgroup where that is another one."""

    domain: Recording | None = None
    victim: Recording | None = None


@dataclass(frozen=True, slots=True)
class Averages:
    """Percent of the time, over about so many seconds; the recent ones weigh more."""

    avg10: float | None = None
    avg60: float | None = None
    avg300: float | None = None


@dataclass(frozen=True, slots=True)
class Stalls:
    """Time in which tasks waited for memory: at least one of them, or all at once."""

    some: Averages | None = None
    full: Averages | None = None


@dataclass(frozen=True, slots=True)
class Pressure:
    """memory.pressure, of the domain, and of the victim's cgroup where that is another one."""

    domain: Stalls | None = None
    victim: Stalls | None = None


@dataclass(frozen=True, slots=True)
class EventsOf:
    """How often since the cgroup was made, those below it included."""

    max: int | None = None  # usage was about to go over memory.max
    high: int | None = None  # it was throttled, over memory.high
    major_faults: int | None = None  # something had to be read, of its files or its swap


@dataclass(frozen=True, slots=True)
class Events:
    """memory.events, and pgmajfault of memory.stat, of the same two."""

    domain: EventsOf | None = None
    victim: EventsOf | None = None


@dataclass(frozen=True, slots=True)
class ReclaimOf:
    """The latest episode of reclaim: passes with no pause of 10 s between them, up to the kill."""

    first_before_seconds: float | None = None  # when its first pass began
    passes: int | None = None  # of tasks that wanted memory and had to free some
    stalled_seconds: float | None = None  # spent in them, by all the tasks together


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Of the domain, and of the victim's cgroup where that is another one."""

    domain: ReclaimOf | None = None
    victim: ReclaimOf | None = None


@dataclass(frozen=True, slots=True)
class RefaultsOf:
    """What was needed again soon after it had been reclaimed, since the cgroup was made."""

    anon_bytes: int | None = None  # swapped in again
    file_bytes: int | None = None  # read again


@dataclass(frozen=True, slots=True)
class Refaults:
    """Of the same two, those below them included."""

    domain: RefaultsOf | None = None
    victim: RefaultsOf | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """What led to the kill.

    ``shape`` and the two below it are filled in by `diagnosis`; ``reclaim`` and ``refaults`` are of
    the kill itself; ``pressure`` and the two below that are read right after it
    (incident/pressure.py).
    """

    source: str | None = None  # who recorded it: `KERNEL` or `SAMPLER`
    usage: Usage = Usage()
    shape: str | None = None  # a name of diagnosis/shape.py
    growth_bytes_per_second: float | None = None
    at_limit_seconds: float | None = None
    reclaim: Reclaim | None = None
    refaults: Refaults | None = None
    pressure: Pressure | None = None
    events: Events | None = None
    read_after_seconds: float | None = None  # after the kill, both
