# SPDX-License-Identifier: Apache-2.0
"""A recording in user space: decoded as the kernel's is, as of the kill whenever that is told."""

from __future__ import annotations

import pytest

from container_oomkill.incident.before import Before, Limit, Recording
from container_oomkill.incident.before_decoder import decode_before
from container_oomkill.recorder.rings import MOST_PAGES, Ring

PAGE = 4096
SECOND = 1_000_000_000
MIB = 256  # pages


def made(limit: int = 128 * MIB) -> Ring:
    return Ring(7, 100, limit, PAGE, whole=True)


def at_kill(ring: Ring, tick: int) -> Recording | None:
    """Half a second after that tick."""
    raw = {"tick_ns": SECOND, "header.boot_ns": tick * SECOND + SECOND // 2}
    raw |= {f"domain.{name}": value for name, value in ring.until(tick).items()}
    raw |= {f"victim.{name}": value for name, value in Ring.none().items()}
    usage = decode_before(raw, PAGE, Before()).usage
    assert usage.victim is None
    return usage.domain


def test_what_was_taken_is_there() -> None:
    ring = made()
    for tick in range(100, 110):
        if tick != 104:
            ring.take(tick, tick)
    found = at_kill(ring, 109)
    assert found is not None
    assert (found.recorded_seconds, found.whole_life, found.at_limit_seconds) == (9.5, True, 0)
    (fine,) = found.series
    assert fine.usage_bytes == tuple(
        None if tick == 104 else tick * PAGE for tick in range(100, 110)
    )
    assert found.limits == (Limit(9.5, 128 << 20),)


def test_samples_that_came_after_the_kill_are_left_out() -> None:
    """Of the oldest, as many: they were in the same places."""
    ring = made()
    for tick in range(100, 400):
        ring.take(tick, tick)
    for tick in range(400, 405):
        ring.take(tick, 5)
    found = at_kill(ring, 399)
    assert found is not None
    fine, by_minute = found.series
    kept = [value for value in fine.usage_bytes if value is not None]
    assert kept == [tick * PAGE for tick in range(341, 400)]
    assert by_minute.usage_bytes[-1] == 399 * PAGE  # from 360 on: no larger than that
    assert by_minute.usage_bytes[-2] == 359 * PAGE


def test_a_minute_that_ended_after_the_kill_is_the_one_of_the_kill() -> None:
    ring = made()
    for tick in range(100, 300):
        ring.take(tick, tick)
    ring.take(300, 9999)
    found = at_kill(ring, 299)
    assert found is not None
    assert found.series[1].usage_bytes[-1] == 299 * PAGE


def test_at_its_limit_until_the_kill_gave_it_back() -> None:
    ring = made()
    for tick in range(100, 130):
        ring.take(tick, 1 if tick < 110 else 128 * MIB)
    ring.take(130, 1)
    found = at_kill(ring, 129)
    assert found is not None
    assert found.at_limit_seconds == 19.5
    assert at_kill(ring, 130) is not None
    found = at_kill(ring, 130)
    assert found is not None
    assert found.at_limit_seconds == 0


def test_limits_as_they_changed() -> None:
    ring = made(MOST_PAGES)
    for tick in range(100, 120):
        if tick in (105, 110):
            ring.limit_is(tick * MIB, tick)
        ring.take(tick, 1)
    ring.limit_is(5, 120)
    ring.take(120, 1)
    found = at_kill(ring, 119)
    assert found is not None
    assert found.limits == (Limit(19.5, None), Limit(14.5, 105 << 20), Limit(9.5, 110 << 20))


@pytest.mark.parametrize("tick", [99, 100 + 64 - 32 - 1])
def test_a_kill_before_it_began_or_long_ago_has_none(tick: int) -> None:
    ring = made()
    for each in range(100, 164):
        ring.take(each, 1)
    assert at_kill(ring, tick) is None


def test_a_pause_longer_than_the_series() -> None:
    ring = made()
    ring.take(100, 1)
    ring.take(100_000, 2)
    found = at_kill(ring, 100_000)
    assert found is not None
    assert [value for value in found.series[0].usage_bytes if value is not None] == [2 * PAGE]
