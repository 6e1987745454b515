# SPDX-License-Identifier: Apache-2.0
"""The limit that would have been enough: only where the recording shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from container_oomkill.diagnosis.enough import Enough, find_enough
from container_oomkill.diagnosis.verdict import explain
from container_oomkill.incident.model import Domain

from ..support.befores import before
from ..support.incidents import MIB, incident

HOUR = 3600.0
LOWERED = ((2 * HOUR, 256), (HOUR, 128))


def found(
    usage_mib: Callable[[float], float],
    limits: tuple[tuple[float, float | None], ...] = LOWERED,
    *,
    seconds: float = 2 * HOUR,
    shape: str = "spike",
    **changes: Any,
) -> Enough | None:
    domain = Domain(cgroup="/a", usage_bytes=128 * MIB, limit_bytes=128 * MIB)
    recorded = before(usage_mib, seconds, limits=limits)
    given = explain(incident(before=recorded, **({"domain": domain} | changes)))
    assert given.before is not None
    assert given.before.shape == shape
    return find_enough(given)


def survived(most: float) -> Callable[[float], float]:
    """A spike of ten seconds in the first hour."""
    return lambda at: most if 1000 <= at < 1010 else 31


@pytest.mark.parametrize("earlier", [256, None])
def test_a_spike_that_was_survived_with_a_higher_limit(earlier: int | None) -> None:
    enough = found(survived(190), ((2 * HOUR, earlier), (HOUR, 128)))
    assert enough is not None
    assert enough.bytes == 190 * MIB
    assert enough.earlier_limit == (None if earlier is None else 256 * MIB)
    assert HOUR / 2 <= enough.seconds <= HOUR  # by the half hour


def test_the_last_limit_that_was_higher_counts() -> None:
    limits = ((4 * HOUR, 512), (2.9 * HOUR, 256), (HOUR, 128), (0.5 * HOUR, 120), (60, 128))
    enough = found(survived(190), limits, seconds=4 * HOUR)
    assert enough is None  # the spike was with 512
    enough = found(lambda at: 180 if 7000 <= at < 7010 else 31, limits, seconds=4 * HOUR)
    assert enough is not None
    assert (enough.bytes, enough.earlier_limit) == (180 * MIB, 256 * MIB)


def test_a_limit_that_was_lowered_below_what_it_holds_at_times() -> None:
    enough = found(
        lambda at: 140 if at % 1000 < 10 and at < 3000 else 120,
        ((2 * HOUR, 256), (HOUR, 128)),
        shape="limit_lowered",
    )
    assert enough is not None
    assert enough.bytes == 140 * MIB


@pytest.mark.parametrize(
    ("usage", "limits"),
    [
        (survived(120), LOWERED),  # this limit would have held it too
        (survived(240), LOWERED),  # it came too close to the earlier one as well
        (survived(190), ((2 * HOUR, 128),)),  # never had more
        (survived(190), ((2 * HOUR, 100), (HOUR, 128))),  # it was raised
        (survived(190), ((2 * HOUR, 256), (2 * HOUR - 50, 128))),  # seen for too short a time
    ],
)
def test_where_the_recording_does_not_carry_it(
    usage: Callable[[float], float], limits: tuple[tuple[float, float | None], ...]
) -> None:
    assert found(usage, limits) is None


def test_never_of_what_grew_steadily() -> None:
    """It was leaking when the limit was lowered; another limit would have been reached too."""
    growing = found(lambda at: 31 + at * 0.04 if at < HOUR else 120, LOWERED, shape="limit_lowered")
    assert growing is None
    leak = before(lambda at: 31 + at * 97 / 7200, 2 * HOUR, limits=LOWERED)
    given = explain(incident(before=leak))
    assert given.before is not None
    assert given.before.shape == "leak"
    assert find_enough(given) is None
    assert "enough" not in str(given.verdict)
