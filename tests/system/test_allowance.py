# SPDX-License-Identifier: Apache-2.0
"""Who may do something again, and when."""

from __future__ import annotations

from container_oomkill.system import allowance
from container_oomkill.system.allowance import Allowance


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_some_at_once_then_one_every_so_often() -> None:
    clock = Clock()
    allowed = Allowance(3, 2.0, clock=clock)
    assert [allowed.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert allowed.take("b")
    clock.now += 1.9
    assert not allowed.take("a")
    clock.now += 0.2
    assert [allowed.take("a") for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [allowed.take("a") for _ in range(4)] == [True, True, True, False]


def test_who_was_seen_long_ago_is_forgotten() -> None:
    clock = Clock()
    allowed = Allowance(1, 1.0, clock=clock)
    for number in range(allowance.KNOWN_MAX):
        assert allowed.take(number)
    clock.now += 1
    assert allowed.take("another")
    assert len(allowed._paid_until) == 1
