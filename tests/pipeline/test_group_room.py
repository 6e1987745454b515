# SPDX-License-Identifier: Apache-2.0
"""A group kill of more processes than the ring has room for: none is lost, none is told apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from container_oomkill.cli.parser import build_parser
from container_oomkill.incident.model import Incident
from container_oomkill.incident.wire import BEFORE, VICTIM, lib
from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.probe import Probe

from ..support import records
from ..support.hooks import Hooks
from ..support.logged import logged

PROCESSES = 100
SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
UNREAD_PER_MIB = 300
KILLS_PER_MIB = 240
PATH = b"/kubepods.slice/kubepods-burstable.slice/" + b"x" * 110
RECORD = VICTIM.size + 3 * len(PATH) + 8  # domain, victim, who asked; the ring's own header


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


def test_victims_that_are_missing_are_said_to_be_their_incidents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = logged(monkeypatch)
    whole = list(group())
    hooks = Hooks(1, *whole[:40], *whole[60:])
    told: list[Incident] = []
    Pipeline(cast("Probe", hooks), [told.append]).run(hooks.stop)
    assert len(told[0].victims) == PROCESSES - 20
    whose = told[0].victims[0].cgroup or "an unknown cgroup"
    assert log == [
        f"container-oomkill: incident {told[0].id} of {whose} lacks 20 of its victims",
        "container-oomkill: dropped 20 records: missing from the sequence",
    ]


def test_what_a_ring_holds_unread() -> None:
    """docs/security.md has the number: so many victims lose none even where nobody reads at all."""
    assert (1 << 20) * 3 // 4 // RECORD >= UNREAD_PER_MIB
    assert f"{UNREAD_PER_MIB} victims for each MiB" in SECURITY.read_text(encoding="utf-8")


def test_what_a_ring_holds_of_kills_that_are_no_groups() -> None:
    """--help has the number: with each comes what the flight recorder has of two cgroups."""
    assert (1 << 20) // (RECORD + BEFORE.size + 8) == pytest.approx(KILLS_PER_MIB, rel=0.05)
    _, command = build_parser("probe")
    assert command is not None
    assert f"about {KILLS_PER_MIB} kills" in " ".join(command.format_help().split())
