# SPDX-License-Identifier: Apache-2.0
"""Shapes of usage: each by a series that has it, with noise, and by what is close to it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given

from container_oomkill.diagnosis.shape import find_shape
from container_oomkill.diagnosis.timeline import Falls, falls
from container_oomkill.diagnosis.verdict import explain, next_steps
from container_oomkill.incident.before import (
    KERNEL,
    Before,
    Reclaim,
    ReclaimOf,
    Recording,
    Series,
    Usage,
)
from container_oomkill.incident.model import Domain, Incident
from container_oomkill.incident.shapes import SHAPES
from container_oomkill.units import rate

from ..support.any_incident import RECORDINGS, SIZES
from ..support.befores import MIB, before
from ..support.incidents import incident, victim

LIMIT = 128
HOUR, DAY = 3600.0, 86400.0
OUTSIDE = "/kubepods/pod1"


def killed(made: Before, *, usage: float = LIMIT, limit: float = LIMIT) -> Incident:
    domain = Domain(cgroup=OUTSIDE, usage_bytes=round(usage * MIB), limit_bytes=round(limit * MIB))
    old = victim(uptime_seconds=7200.0, pid_in_container=4711)
    return explain(incident(before=made, domain=domain, victims=(old,)))


def shape(usage_mib: Callable[[float], float], seconds: float, **options: object) -> str | None:
    found = killed(before(usage_mib, seconds, **options)).before
    assert found is not None
    return found.shape


def ramp(start: float, end: float, seconds: float) -> Callable[[float], float]:
    return lambda at: start + (end - start) * min(1.0, at / seconds)


def late(settled: float, seconds: float, took: float) -> Callable[[float], float]:
    """Settled, then to the limit in the last seconds."""
    return lambda at: settled + max(0.0, (LIMIT - settled) * (at - seconds + took) / took)


def saw(low: float, high: float, period: float) -> Callable[[float], float]:
    return lambda at: low + (high - low) * (at % period) / period


@pytest.mark.parametrize("seconds", [90.0, 20 * 60.0, 5 * HOUR, 3 * DAY])
def test_leaks_of_a_minute_and_of_days(seconds: float) -> None:
    assert shape(ramp(10, LIMIT, seconds), seconds) == "leak"
    noise = random.Random(1)
    noisy = ramp(10, LIMIT - 8, seconds)
    assert shape(lambda at: noisy(at) + noise.uniform(0, 8), seconds) == "leak"
    # Of a collector, whose floor rises.
    teeth = saw(0, 10, seconds / 50)
    assert shape(lambda at: ramp(10, LIMIT - 10, seconds)(at) + teeth(at), seconds) == "leak"


@pytest.mark.parametrize("limit", [16, 128, 16 * 1024])
@pytest.mark.parametrize("hours", [1, 12, 31])
def test_the_end_of_a_slow_leak_is_no_plateau(limit: float, hours: int) -> None:
    """It is close to its limit for minutes, or an hour: that is what the last part takes it."""
    seconds = hours * HOUR
    made = before(ramp(limit / 10, limit, seconds), seconds, limits=((seconds, limit),))
    found = killed(made, usage=limit, limit=limit).before
    assert found is not None
    assert found.usage.domain is not None
    assert (found.usage.domain.at_limit_seconds or 0) > 15
    assert found.shape == "leak"


# Linux 7.3, a file read evenly in 42 MiB, MiB by the half second: 8 of them went at once.
GIVEN_BACK = (
    *(0, 9, 11, 13, 14, 16, 18, 20, 22, 21, 23, 25, 27, 29, 30, 32, 34, 36, 38, 40, 41, 42, 42),
    *(42, 41, 42, 42, 40, 42, 42, 42, 42, 42, 42, 42, 42, 42, 34, 36, 37, 39, 40, 41, 41, 42, 42),
    *(42, 42, 42, 42, 42, 42, 42, 42, 42),
)


@pytest.mark.parametrize("least", [34, 20])
def test_what_is_given_back_at_once_is_no_end_of_a_plateau(least: int) -> None:
    def usage(at: float) -> float:
        mib = GIVEN_BACK[min(int(at), len(GIVEN_BACK) - 1)]
        return least if at > 30 and mib < 36 else mib

    seconds = float(len(GIVEN_BACK))
    made = before(usage, seconds, limits=((seconds, 42),), at_limit_seconds=12.8)
    reclaim = Reclaim(ReclaimOf(first_before_seconds=34.7, passes=381, stalled_seconds=1.2))
    thrashed = killed(replace(made, reclaim=reclaim), usage=42, limit=42).before
    assert thrashed is not None
    assert thrashed.shape == "plateau"
    once = replace(made, reclaim=Reclaim(ReclaimOf(first_before_seconds=0.001, passes=9)))
    spared = killed(once, usage=42, limit=42).before
    assert spared is not None
    assert spared.shape != "plateau"  # nobody took it: it gave it back


def test_a_leak_that_was_at_the_limit_for_longer_than_it_grew_there() -> None:
    assert shape(ramp(10, LIMIT, 5 * HOUR), 7 * HOUR) == "plateau"


def test_a_leak_after_a_start() -> None:
    assert (
        shape(lambda at: 30 + ramp(0, 98, 5 * HOUR)(at) if at > 5 else 6 * at, 5 * HOUR) == "leak"
    )


@pytest.mark.parametrize("seconds", [60.0, HOUR, 2 * DAY])
@pytest.mark.parametrize("took", [0.5, 4.0])
def test_spikes(seconds: float, took: float) -> None:
    assert shape(late(31, seconds, took), seconds) == "spike"


@pytest.mark.parametrize(("seconds", "took"), [(HOUR, 120.0), (DAY, HOUR), (DAY, 5 * HOUR)])
def test_ramps(seconds: float, took: float) -> None:
    assert shape(late(31, seconds, took), seconds) == "ramp"


@pytest.mark.parametrize("seconds", [1.2, 3.0, 10.0, 40.0])
def test_start_ups(seconds: float) -> None:
    assert shape(ramp(0, LIMIT, seconds), seconds) == "start_up"
    # One that may have been there before: nobody saw its start.
    assert shape(ramp(0, LIMIT, seconds), seconds, whole_life=False) != "start_up"


def test_a_cgroup_is_empty_until_its_first_process_starts() -> None:
    assert shape(lambda at: max(0, at - 50) * 25.6, 55) == "start_up"
    assert shape(lambda at: max(0, at - 2) / 30, 3842) == "leak"


@pytest.mark.parametrize(("seconds", "period"), [(55.0, 9.0), (HOUR, 7 * 60.0), (DAY, 3 * HOUR)])
def test_sawtooths(seconds: float, period: float) -> None:
    assert shape(saw(40, 120, period), seconds) == "sawtooth"


def test_plateaus() -> None:
    def thrash(at: float) -> float:
        return min(LIMIT, 20 + at)

    assert shape(thrash, 400, at_limit_seconds=280) == "plateau"
    assert shape(thrash, 3 * DAY, at_limit_seconds=301) == "plateau"
    assert shape(lambda _: 120, HOUR) == "plateau"  # close to it all along
    assert shape(lambda at: 31 if at < 200 else 118 + at % 7, 400) == "plateau"
    assert shape(lambda at: 31 if at < 320 else 118 + at % 7, 400) == "ramp"  # not for long

    def dips(low: float) -> Callable[[float], float]:
        return lambda at: 31 if at < 200 else low if at % 15 < 1 else 120

    assert shape(dips(110), 400) == "plateau"
    assert shape(dips(100), 400) != "plateau"
    assert shape(lambda at: 31 if at < 250 else 103 + (at - 250) / 6, 400) != "plateau"  # it rose
    assert shape(lambda at: 31 if at < 30 else 118, 39) != "plateau"
    assert shape(lambda at: 20 + at * 0.03, HOUR) == "leak"  # close for its last 400 s, too
    # A leak is at its limit for some seconds, too, while the page cache goes.
    assert shape(ramp(10, LIMIT, HOUR), HOUR, at_limit_seconds=9) == "leak"


def test_a_limit_that_came_down_to_what_was_in_use() -> None:
    made = before(lambda _: 60, HOUR, limits=((HOUR, 128), (200, 64)))
    found = killed(made, usage=64, limit=64)
    assert found.before is not None
    assert found.before.shape == "limit_lowered"
    words = "the limit had been lowered from 128.0 MiB to 64.0 MiB 3 min 20 s before, with 60.0 MiB"
    assert words in str(found.verdict)
    assert next_steps(found)[0].link == "verdicts.md#limit-had-been-lowered"


def test_what_was_used_by_the_tick_that_saw_the_limit_is_no_use_before_it() -> None:
    """A runtime limits a new cgroup and starts its program from one tick to the next."""
    made = before(lambda at: 0 if at < 1 else 120, 90.4, limits=((90.4, None), (89.4, LIMIT)))
    found = killed(made).before
    assert found is not None
    assert found.shape != "limit_lowered"


def test_a_limit_lowered_since_the_last_sample_or_from_none() -> None:
    made = before(lambda _: 60, HOUR, newest=0.8, limits=((HOUR, None),))
    found = killed(made, usage=64, limit=64)
    assert "lowered from no limit to 64.0 MiB less than 800 ms before" in str(found.verdict)
    raised = before(lambda _: 60, HOUR, limits=((HOUR, 32), (60, 64)))
    assert killed(raised, usage=64, limit=64).before != found.before
    assert "lowered" not in str(killed(raised, usage=64, limit=64).verdict)
    grown = before(ramp(10, 64, HOUR), HOUR, limits=((HOUR, 128), (HOUR - 60, 64)))
    assert "lowered" not in str(killed(grown, usage=64, limit=64).verdict)  # it grew into it


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            before(ramp(8, LIMIT, 400 * 60), 400 * 60),
            "18.0 MiB/h for 6 h 40 min, steadily: twice the limit would put it off by 7 h 6 min",
        ),
        (
            before(lambda _: 31, HOUR, newest=0.8),
            "from 31.0 to 128.0 MiB in 800 ms; the most in the 59 min 59 s before was 31.0 MiB",
        ),
        (
            before(saw(40, 120, 9), 55),
            "usage rose and fell 6 times in 55.0 s, between 45.3 and 116.4 MiB",
        ),
        (before(ramp(0, LIMIT, 10), 10), "had not settled: 128.0 MiB in 10.0 s"),
        (before(ramp(20, LIMIT, 9), 99, at_limit_seconds=90), "been at the limit for 1 min 30 s"),
    ],
)
def test_the_evidence_is_in_words(made: Before, words: str) -> None:
    assert words in str(killed(made).verdict)


@pytest.mark.parametrize(
    ("made", "may_be_low"),
    [
        (before(ramp(0, LIMIT, 10), 10), True),  # start-up
        (before(lambda _: 110, 50), True),  # too little to tell
        (before(late(20, 50, 2), 50), False),  # a spike: it had started
        (before(lambda _: 126, 50, limits=((50, 256), (10, LIMIT))), False),  # limit lowered
    ],
    ids=["start-up", "none", "spike", "lowered"],
)
def test_a_limit_is_too_low_for_the_start_only_of_what_never_settled(
    made: Before, may_be_low: bool
) -> None:
    young = victim(uptime_seconds=50.0, pid_in_container=1)
    found = explain(incident(before=made, victims=(young,)))  # of 128 MiB, its own
    assert "the process died 50.0 s after its start" in str(found.verdict)
    assert ("may be below what the start needs" in str(found.verdict)) is may_be_low


def test_too_little_to_say() -> None:
    assert shape(lambda _: 60, 30) == "spike"  # to 128 since the last sample
    steady = killed(before(lambda _: 60, 30), usage=62)
    assert steady.before is not None
    assert steady.before.shape is None
    nothing = Before(source=KERNEL, usage=Usage(domain=Recording()))
    assert find_shape(killed(nothing)) is None
    assert find_shape(incident()) is None  # no recorder


def test_a_node_ran_out() -> None:
    """Then it is the victim's cgroup that tells something."""
    made = before(ramp(10, LIMIT, HOUR), HOUR)
    of_victim = Before(source=KERNEL, usage=Usage(victim=made.usage.domain))
    found = explain(
        incident(before=of_victim, domain=None, victims=(victim(usage_bytes=LIMIT * MIB),))
    )
    assert found.before is not None
    assert found.before.shape == "leak"


def test_gaps_are_no_zeros() -> None:
    values = tuple(None if at % 3 else round((10 + at) * MIB) for at in range(63))
    series = (Series(1.0, 0.5, values),)
    made = Recording(recorded_seconds=63.0, whole_life=False, series=series, at_limit_seconds=0.0)
    found = killed(Before(source=KERNEL, usage=Usage(domain=made)), usage=73)
    assert found.before is not None
    assert found.before.shape == "leak"


def test_falls() -> None:
    assert falls([1, 9, 2, 9, None, 3, 8], 5) == Falls(2, 9, 2)
    assert falls([9, 8, 7, 6, 5, 4], 5) == Falls(1, 9, 4)
    assert falls([], 5) == falls([None], 5) == Falls(0, 0, 0)


def test_rates() -> None:
    assert [rate(MIB * each) for each in (2, 1 / 30, 1 / 1800, 1e-6)] == [
        "2.0 MiB/s",
        "2.0 MiB/min",
        "2.0 MiB/h",
        "0.1 MiB/d",
    ]


@given(RECORDINGS, SIZES, SIZES)
def test_any_numbers(recording: Recording, usage: int | None, limit: int | None) -> None:
    domain = Domain(cgroup=OUTSIDE, usage_bytes=usage, limit_bytes=limit)
    made = Before(source=KERNEL, usage=Usage(domain=recording))
    found = explain(incident(before=made, domain=domain)).before
    assert found is not None
    assert found.shape in (None, *SHAPES)
    growth = found.growth_bytes_per_second
    assert growth is None or math.isfinite(growth)
