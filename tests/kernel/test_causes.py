# SPDX-License-Identifier: Apache-2.0
"""Who ended a container's process, for every sender: docs/exit-137.md has the table.

`make causes` runs this on four kernels, by each hook, and writes it.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from ..support.kernel.senders import CAUSES, Expected, World

pytestmark = pytest.mark.needs("the whole matrix")


@pytest.mark.parametrize(
    "sender",
    [
        pytest.param(name, marks=[pytest.mark.needs(what) for what in cause.needs])
        for name, cause in CAUSES.items()
    ],
)
def test_sender(world: World, sender: str) -> None:
    cause = CAUSES[sender]
    expected = cause.provoke(world)
    if cause.cause is None:
        judge_oom_kill(world, expected)
        return
    record = world.recorder.kill_by_another(expected.cgroup.path)
    target, killer = record["target"], record["killer"]
    assert killer["cause"] == cause.cause, record["verdict"]
    assert expected.words in record["verdict"]
    assert record["container"]["id"] == expected.cgroup.path.rpartition("/")[2]
    given = (expected.target, expected.is_init, expected.sender, expected.command)
    found = (target["pid"], target["is_init"], killer["pid"], killer["command"])
    assert [each for each in zip(given, found, strict=True) if each[0] is not None] == [
        (each, each) for each in given if each is not None
    ]


def judge_oom_kill(world: World, expected: Expected) -> None:
    """A record of its own kind, and none of a kill by others."""
    victim: dict[str, Any] = world.recorder.record()["victims"][0]
    assert (victim["pid"], victim["cgroup"]) == (expected.target, expected.cgroup.path)
    last = world.container()
    os.kill(last.init, signal.SIGKILL)
    assert world.recorder.kills_by_others_until(last.cgroup.path)[expected.cgroup.path] == 0
