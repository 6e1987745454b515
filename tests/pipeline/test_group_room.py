# SPDX-License-Identifier: Apache-2.0
"""A group kill of more processes than the ring has room for: none is lost, none is told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from container_oomkill.incident.model import Incident
from container_oomkill.incident.wire import lib
from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.probe import Probe

from ..support import records
from ..support.hooks import Hooks

PROCESSES = 100


class Small(Hooks):
    """A ring with room for ten records: the kernel writes the next one when there is room."""

    size = 10

    def kept(self) -> int:
        return self._next - self._start

    def read(self) -> Iterator[tuple[bytes, int]]:
        for each in super().read():
            assert self.kept() <= self.size, "the ring is full: this one would have been lost"
            yield each


def group() -> Iterator[bytes]:
    """All the victims of one incident, its end, and another kill."""
    head = {"incident": 1, "boot_ns": 5_000_000_000}
    for number in range(1, PROCESSES + 1):
        yield records.victim(
            head=head | {"sequence": number},
            flags=lib.OOMKILL_GROUP,
            process__pid=number,
            process__tid=number,
        )
    yield records.end(**head, sequence=PROCESSES + 1)
    alone = {"incident": 2, "boot_ns": 6_000_000_000, "sequence": PROCESSES + 2}
    yield records.victim(head=alone, process__pid=1000, process__tid=1000)


def test_a_group_larger_than_the_ring() -> None:
    hooks = Small(1, *group())
    told: list[Incident] = []
    pipeline = Pipeline(cast("Probe", hooks), [told.append])
    pipeline.run(hooks.stop)
    assert [len(each.victims) for each in told] == [PROCESSES, 1]
    assert [each.pid for each in told[0].victims] == list(range(1, PROCESSES + 1))
    assert hooks.kept() == 0
