# SPDX-License-Identifier: Apache-2.0
"""Recordings made by hand: a usage over time, sampled as the flight recorder would."""

from __future__ import annotations

from collections.abc import Callable

from container_oomkill.incident.before import KERNEL, Before, Limit, Recording, Series, Usage
from container_oomkill.incident.full import full_room

MIB = 1 << 20
KEPT = 63
PERIODS = (1.0, 60.0, 1800.0)


def recording(
    usage_mib: Callable[[float], float],
    seconds: float,
    *,
    limits: tuple[tuple[float, float | None], ...] = (),
    at_limit_seconds: float | None = None,
    whole_life: bool = True,
    newest: float = 0.4,
) -> Recording:
    """``usage_mib``: of the seconds since the recording began; ``limits``: seconds before, MiB.

    ``at_limit_seconds``: by default what the recorder would have counted.
    """
    times = [seconds - newest - back for back in range(int(seconds - newest) + 1)][::-1]
    used = {at: usage_mib(at) for at in times}
    series: list[Series] = []
    for period in PERIODS:
        if series and len(times) <= KEPT * series[-1].period_seconds:
            break
        groups: dict[int, float] = {}
        last = round(times[-1] / period) if period == 1 else int(times[-1] // period)
        for at in times:
            group = int(at // period) if period > 1 else round(at - times[-1]) + last
            groups[group] = max(groups.get(group, 0.0), used[at])
        kept = [groups[each] for each in sorted(groups)][-KEPT:]
        begin = times[-1] if period == 1 else max(groups) * period
        values = tuple(round(each * MIB) for each in kept)
        series.append(Series(period, seconds - begin, values))
    limits = limits or ((seconds, 128),)
    if at_limit_seconds is None:
        at_limit_seconds = seconds - _full_since(used, seconds, limits[-1][1])
    return Recording(
        recorded_seconds=seconds,
        whole_life=whole_life,
        at_limit_seconds=at_limit_seconds,
        series=tuple(series),
        limits=tuple(
            Limit(before, None if mib is None else round(mib * MIB)) for before, mib in limits
        ),
    )


def _full_since(used: dict[float, float], seconds: float, limit_mib: float | None) -> float:
    if limit_mib is None:
        return seconds
    limit = round(limit_mib * MIB)
    since = seconds
    for at in reversed(used):
        if round(used[at] * MIB) < limit - full_room(limit):
            break
        since = at
    return since


def before(usage_mib: Callable[[float], float], seconds: float, **options: object) -> Before:
    """The domain's recording alone."""
    made = recording(usage_mib, seconds, **options)  # type: ignore[arg-type]
    return Before(source=KERNEL, usage=Usage(domain=made))
