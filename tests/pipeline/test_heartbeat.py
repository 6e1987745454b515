# SPDX-License-Identifier: Apache-2.0
"""Signs of life go on however much there is to read: /readyz and the watchdog depend on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from container_oomkill.incident.model import Incident
from container_oomkill.incident.wire import lib
from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.probe import Probe

from ..support import records
from ..support.hooks import Hooks

KILLS = 500


def kills(*, group: bool) -> Iterator[bytes]:
    """As many as one look into the ring finds: all of one incident, or each its own."""
    for number in range(1, KILLS + 1):
        yield records.victim(
            head={"incident": 1 if group else number, "sequence": number, "boot_ns": 5_000_000_000},
            flags=lib.OOMKILL_GROUP if group else 0,
            process__pid=number,
            process__tid=number,
        )
    if group:
        yield records.end(incident=1, boot_ns=5_000_000_000, sequence=KILLS + 1)


@pytest.mark.parametrize("group", [False, True], ids=["kills", "one group"])
@pytest.mark.parametrize("due", [1e-9, 3600.0], ids=["always due", "never due"])
def test_the_heart_beats_inside_a_drain(group: bool, due: float) -> None:
    hooks = Hooks(1, *kills(group=group))
    told: list[Incident] = []
    beats: list[int] = []
    pipeline = Pipeline(cast("Probe", hooks), [told.append])
    pipeline.run(hooks.stop, heartbeat=lambda: beats.append(len(told)), heartbeat_seconds=due)
    assert sum(each.kills for each in told) == KILLS
    # At the start and at every turn it beats anyway: of those there are few.
    assert len(beats) >= KILLS if due < 1 else len(beats) < 10
