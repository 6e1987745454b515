# SPDX-License-Identifier: Apache-2.0
"""Turns struct oomkill_before into `Before`: ticks to seconds before the kill, pages to bytes."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

from ..units import NS
from .before import KERNEL, Before, Limit, Recording, Series, Usage
from .wire import lib

SAMPLES, LIMITS = lib.OOMKILL_SAMPLES, lib.OOMKILL_LIMITS
# Of a full series the oldest sample may have been overwritten by the newest while it was copied.
KEPT = SAMPLES - 1
UNKNOWN = lib.OOMKILL_UNKNOWN_U32
MOST_PAGES = UNKNOWN - 1  # stands for that many or more: a limit that is none
SERIES = (
    ("medium", lib.OOMKILL_MEDIUM_TICKS),
    ("coarse", lib.OOMKILL_COARSE_TICKS),
)


def decode_before(raw: dict[str, Any], page_size: int, known: Before) -> Before:
    """``raw``: from `wire.before`. A recording that contradicts itself is left out."""
    return replace(
        known,
        source=KERNEL,
        usage=Usage(
            domain=_recording(raw, "domain.", page_size),
            victim=_recording(raw, "victim.", page_size),
        ),
    )


def _recording(raw: dict[str, Any], of: str, page_size: int) -> Recording | None:
    tick_ns, boot_ns = raw["tick_ns"], raw["header.boot_ns"]
    first, last, flags = raw[of + "first"], raw[of + "last"], raw[of + "flags"] or 0
    if not raw[of + "id"] or not tick_ns or first is None or last is None:
        return None
    tick = tick_ns / NS
    now = boot_ns / NS
    if first > last or last * tick > now or flags & lib.OOMKILL_RECORDING_TORN:
        return None
    full_since = raw[of + "full_since"]
    series = [_series(_samples(raw[of + "fine"]), first, last, 1, tick, now, page_size)]
    for name, ticks in SERIES:
        if last - first < KEPT * (round(series[-1].period_seconds / tick)):
            break  # the finer one has it all
        samples = _samples(raw[of + name])
        current = raw[of + name + "_now"]
        samples[last // ticks % SAMPLES] = UNKNOWN if current is None else current
        series.append(_series(samples, first, last, ticks, tick, now, page_size))
    return Recording(
        recorded_seconds=_ms(now - first * tick),
        whole_life=bool(flags & lib.OOMKILL_RECORDING_WHOLE),
        at_limit_seconds=0.0 if full_since is None else _ms(max(0.0, now - full_since * tick)),
        series=tuple(series),
        limits=_limits(raw, of, tick, now, page_size),
    )


def _ms(seconds: float) -> float:
    return round(seconds, 3)


def _samples(data: bytes) -> list[int]:
    return list(struct.unpack(f"={SAMPLES}I", data))


def _series(
    samples: list[int], first: int, last: int, ticks: int, tick: float, now: float, page_size: int
) -> Series:
    newest = last // ticks
    oldest = max(first // ticks, newest - KEPT + 1)
    values = (samples[at % SAMPLES] for at in range(oldest, newest + 1))
    return Series(
        period_seconds=tick * ticks,
        newest_before_seconds=_ms(now - newest * ticks * tick),
        usage_bytes=tuple(None if pages == UNKNOWN else pages * page_size for pages in values),
    )


def _limits(
    raw: dict[str, Any], of: str, tick: float, now: float, page_size: int
) -> tuple[Limit, ...]:
    """The latest; where there were more, the first of them is when it was set."""
    entered = struct.unpack(f"={2 * LIMITS}I", raw[of + "limits"])
    seen = raw[of + "limits_seen"] or 0
    found = []
    for number in range(max(0, seen - LIMITS + 1), seen) if seen > LIMITS else range(seen):
        at = 2 * (number % LIMITS)
        since, pages = entered[at], entered[at + 1]
        limit = None if pages >= MOST_PAGES else pages * page_size
        found.append(Limit(before_seconds=_ms(max(0.0, now - since * tick)), limit_bytes=limit))
    return tuple(found)
