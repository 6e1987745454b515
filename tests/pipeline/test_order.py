# SPDX-License-Identifier: Apache-2.0
"""What comes first once a record is there: it is counted before anything else is done."""

from __future__ import annotations

from typing import cast

from container_oomkill.incident.model import Incident
from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.probe import Probe

from ..support.hooks import Hooks, kill

FIRST = kill(1, 100, 5_000_000_000)
SECOND = kill(2, 200, 6_000_000_000)


def test_a_kill_is_counted_before_its_verdict_is_made_and_before_all_else() -> None:
    hooks = Hooks(1, FIRST, SECOND)
    happened: list[str] = []
    explained: list[Incident] = []

    def count(incident: Incident) -> None:
        happened.append(f"count {incident.sequence}")
        assert incident.scope is not None
        assert incident.verdict is None

    def sink(incident: Incident) -> None:
        happened.append(f"sink {incident.sequence}")
        explained.append(incident)

    pipeline = Pipeline(cast("Probe", hooks), [sink], count=count)
    pipeline.run(hooks.stop, heartbeat=lambda: happened.append("beat"))
    assert happened == ["beat", "count 1", "sink 1", "count 2", "sink 2", "beat"]
    assert all(each.scope and each.verdict for each in explained)


def test_what_is_not_wanted_is_counted() -> None:
    hooks = Hooks(1, FIRST, SECOND)
    counted: list[Incident] = []
    told: list[Incident] = []
    pipeline = Pipeline(
        cast("Probe", hooks),
        [told.append],
        count=counted.append,
        wanted=lambda incident: incident.sequence == 2,
    )
    pipeline.run(hooks.stop)
    assert [each.sequence for each in counted] == [1, 2]
    assert [each.sequence for each in told] == [2]
