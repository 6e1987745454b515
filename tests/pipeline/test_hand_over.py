# SPDX-License-Identifier: Apache-2.0
"""From the ring of older hooks to that of newer ones: what both have, and what only seems so."""

from __future__ import annotations

from typing import cast

from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.probe import Probe
from container_oomkill.units import NS

from ..support.hooks import Hooks, kill

DAY = 24 * 3600 * NS


def told(*older: Hooks, newer: Hooks) -> list[tuple[int, int | None]]:
    """Number and victim of all that is delivered on the way."""
    shown: list[tuple[int, int | None]] = []
    newer.older = list(older)
    pipeline = Pipeline(
        cast("Probe", newer), [lambda each: shown.append((each.sequence, each.victims[0].pid))]
    )
    pipeline.run(newer.stop)
    assert all(each.removed for each in older)
    return shown


def test_what_both_have_is_told_once() -> None:
    older = Hooks(1, kill(1, 11, DAY), kill(2, 12, 2 * DAY), kill(3, 13, 2 * DAY + NS))
    newer = Hooks(2, kill(1, 12, 2 * DAY + 9), kill(2, 13, 2 * DAY + NS + 9), kill(3, 14, 3 * DAY))
    assert told(older, newer=newer) == [(1, 11), (2, 12), (3, 13), (4, 14)]


def test_a_pid_that_came_again_is_another_kill() -> None:
    """The older ring had it for a day; the newer one's is of right now."""
    older = Hooks(1, kill(1, 11, DAY))
    newer = Hooks(2, kill(1, 11, 2 * DAY))
    assert told(older, newer=newer) == [(1, 11), (2, 11)]


def test_what_all_of_several_have_is_told_once() -> None:
    """Each was replaced before its time was over, as by a process that was killed again and again.

    The one in the middle has nothing of its own.
    """
    first = Hooks(1, kill(1, 11, DAY), kill(2, 12, 2 * DAY))
    second = Hooks(2, kill(1, 12, 2 * DAY + 9))
    third = Hooks(3, kill(1, 12, 2 * DAY + 11), kill(2, 13, 2 * DAY + NS))
    newer = Hooks(4, kill(1, 13, 2 * DAY + NS + 9), kill(2, 14, 3 * DAY))
    assert told(first, second, third, newer=newer) == [(1, 11), (2, 12), (3, 13), (4, 14)]
