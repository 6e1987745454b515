# SPDX-License-Identifier: Apache-2.0
"""Formats bytes and seconds for people, the same way everywhere."""

from __future__ import annotations

NS = 1_000_000_000  # in a second
MIB = 1 << 20
GIB = 1 << 30
DAY_SECONDS = 86400
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECONDS}  # of 90s, 30m, 1h, 2d


def in_mib(bytes_: int) -> str:
    """The number alone, one decimal."""
    return f"{bytes_ / MIB:.1f}"


def size(bytes_: int) -> str:
    """MiB with one decimal, GiB from 10 GiB on."""
    if bytes_ >= 10 * GIB:
        return f"{bytes_ / GIB:.1f} GiB"
    return f"{in_mib(bytes_)} MiB"


def duration(seconds: float) -> str:
    """The two largest units that matter."""
    if 0 < seconds < 0.00095:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:  # what would be rounded up to the next unit is shown in that
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(max(seconds, 60)), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def about(seconds: float) -> str:
    """In the one unit that says enough: for what is only nearly so."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    for limit, unit, name in ((90 * 60, 60, "min"), (47.5 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} d"


def plural(count: int, thing: str) -> str:
    """Return "1 kill", "2 kills"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def ordinal(number: int) -> str:
    """Return "1st", "2nd", "11th"."""
    teen = 11 <= number % 100 <= 13
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def rate(bytes_per_second: float) -> str:
    """In the unit of time that makes it a number of MiB above 1; per day at most."""
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    unit = next((unit for unit, each in units.items() if bytes_per_second * each >= MIB), "d")
    return f"{bytes_per_second * units[unit] / MIB:.1f} MiB/{unit}"
