# SPDX-License-Identifier: Apache-2.0
"""Shapes of drawn programs, as the recorder would have their usage: the kernel tests' programs.

tests/kernel/test_many_shapes.py runs them for real. Here each begins anywhere in a coarser series'
period, which takes a day of real kills, and lives for minutes, hours or days.
"""

from __future__ import annotations

import random

import pytest

from container_oomkill.diagnosis.shape import find_shape

from ..support.kernel.shape_scripts import DRAWS, Lowering, Script
from ..support.sampled_scripts import killed

EACH = 60
# Only the last minute is known by the second: of teeth of a minute or two there is one fall in it.
SLOWER = [(shape, 1) for shape in DRAWS]
SLOWER += [(shape, 3) for shape in ("ramp", "leak", "sawtooth", "plateau", "limit_lowered")]
SLOWER += [(shape, 60) for shape in ("ramp", "leak", "sawtooth", "plateau", "limit_lowered")]


@pytest.mark.parametrize(("shape", "slower"), SLOWER)
def test_a_drawn_program_has_the_shape_it_was_drawn_as(shape: str, slower: int) -> None:
    for seed in range(EACH):
        chance = random.Random(seed)
        script = DRAWS[shape](chance)
        found = find_shape(killed(script, chance, slower=slower))
        assert found is not None, (seed, script)
        assert found.shape == shape, (seed, script)


def told(script: Script, first: int) -> str | None:
    """``first``: where in a coarser series' period it begins."""
    found = find_shape(killed(script, random.Random(1), first=first))
    return None if found is None else found.shape


def test_the_tick_in_which_it_began_does_not_weigh_as_a_minute() -> None:
    script = Script("ramp", 33)
    script.grow(17, 1.3)
    script.sleep(105)
    script.grow(24, 60)
    assert {told(script, first) for first in range(60)} == {"ramp"}


@pytest.mark.parametrize(("held", "waited"), [(31, 66), (48, 97), (25, 104)])
def test_a_limit_lowered_in_the_first_minute_of_a_life_and_killed_minutes_later(
    held: float, waited: float
) -> None:
    script = Script("limit_lowered", 24)
    script.grow(16, 3)
    script.sleep(held)
    script.lowering = Lowering(script.ticks, 1)
    script.sleep(waited)
    script.grow(24, 3)
    assert {told(script, first) for first in range(60)} == {"limit_lowered"}


def test_a_ramp_of_little_more_than_a_minute() -> None:
    """Where it began, the minute's largest value is all there is, and says nothing."""
    script = Script("ramp", 27)
    script.anon(5)
    script.sleep(253)
    script.grow(33, 127)
    assert {told(script, first) for first in range(60)} == {"ramp"}


def test_teeth_of_half_a_minute() -> None:
    """One fall is known by the second; the minutes before say that it was as high there."""
    script = Script("sawtooth", 40)
    script.anon(4)
    for _ in range(5):
        script.tooth(20, 36, 1)
        script.sleep(15)
    script.grow(50, 12)
    assert {told(script, first) for first in range(60)} == {"sawtooth"}


@pytest.mark.parametrize(
    ("limit", "parts"),
    [
        (31, [(9, 0.5), (8, 3.6), (2, 3.6), (2, 3.6), (14, 5.5)]),  # at its end it gets faster
        (43, [(11, 0.3), (23, 3.0), (13, 12.0)]),  # it gets slower
    ],
)
def test_a_start_that_slows_down_or_gets_faster_has_not_settled(
    limit: int, parts: list[tuple[int, float]]
) -> None:
    script = Script("start_up", limit)
    for mib, ticks in parts:
        script.grow(mib, ticks)
    assert told(script, 0) == "start_up"


def test_what_is_noisy_may_have_settled() -> None:
    script = Script("spike", 40)
    script.anon(16)
    script.tooth(7, 3, 7)  # of less than a fifth, so it is no sawtooth
    script.grow(30, 2)
    assert told(script, 0) == "spike"


def test_a_leak_after_it_loaded_half_of_what_it_has() -> None:
    script = Script("leak", 28)
    script.grow(15, 900)
    script.grow(22, 100_000)
    assert {told(script, first) for first in range(0, 1800, 300)} == {"leak"}


def test_a_leak_in_steps_whose_last_one_came_close_to_the_limit() -> None:
    script = Script("leak", 40)
    script.grow(7, 60)
    for _ in range(10):
        script.sleep(1000)
        script.anon(4)
    assert {told(script, first) for first in range(0, 60, 10)} == {"leak"}
