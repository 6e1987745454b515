# SPDX-License-Identifier: Apache-2.0
"""What memory did before the kill, as the flight recorder has it: a part of the `Incident`.

The attribute names are the JSON keys (docs/record.md). Times are seconds before the kill.
"""

from __future__ import annotations

from dataclasses import dataclass

KERNEL = "kernel"  # recorded by a timer in the kernel


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
class Before:
    """What led to the kill; the last three are filled in by `diagnosis`."""

    source: str | None = None  # who recorded it: `KERNEL`
    usage: Usage = Usage()
    shape: str | None = None  # a name of diagnosis/shape.py
    growth_bytes_per_second: float | None = None
    at_limit_seconds: float | None = None
