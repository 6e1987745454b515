# SPDX-License-Identifier: Apache-2.0
"""A program's curve as the recorder would have it, without a kernel: tick by tick, into a ring."""

from __future__ import annotations

import random

from container_oomkill.incident.before import Before
from container_oomkill.incident.before_decoder import decode_before
from container_oomkill.incident.model import Domain, Incident
from container_oomkill.recorder.rings import Ring
from container_oomkill.units import NS

from .incidents import incident, victim
from .kernel.shape_scripts import Script

MIB = 1 << 20
PAGE = 4096
DAY = 86400
LARGEST_PAGES = 0xFFFFFFFE


def killed(
    script: Script, chance: random.Random, *, slower: int = 1, first: int | None = None
) -> Incident:
    """Return the incident: it has the limit in the first tick, and uses some MiB beside its own.

    ``slower``: how many times as long all of it takes; ``first``: tick of its first sample.
    """
    beside, phase = chance.uniform(0.2, 3), chance.random()
    first = chance.randrange(DAY) if first is None else first
    limit, lowered_at = float(script.limit_mib), None
    if script.lowering is not None:
        lowered_at = script.lowering.tick
        limit = int(script.at(lowered_at) + beside) + 1.0 + script.lowering.room_mib
    begins = (lowered_at or 0.0) if script.own_mib is None else script.ticks
    end = next(
        at / 20
        for at in range(int(begins * 20) + 1, int(script.ticks * 20) + 40)
        if script.own_mib is not None or script.at(at / 20) + beside >= limit
    )
    ring = Ring(1, first, script.limit_mib * MIB // PAGE, PAGE, whole=True)
    for tick in range(int(end * slower - phase) + 1):
        at = (tick + phase) / slower
        now = limit if lowered_at is not None and at >= lowered_at else float(script.limit_mib)
        ring.limit_is(round(now * MIB) // PAGE, first + tick)
        used = min(script.at(at) + beside, now)
        ring.take(first + tick, int(used * MIB) // PAGE)
    last = first + int(end * slower - phase)
    now_ns = round((first - phase + end * slower) * NS)
    raw = {"tick_ns": NS, "header.boot_ns": now_ns}
    for name, fields in (("domain", ring.until(last)), ("victim", Ring.none())):
        raw |= {f"{name}.{key}": value for key, value in fields.items()}
    return incident(
        before=decode_before(raw, PAGE, Before()),
        domain=Domain(cgroup="/a", usage_bytes=round(limit * MIB), limit_bytes=round(limit * MIB)),
        victims=(victim(cgroup="/a"),),
    )
