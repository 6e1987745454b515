# SPDX-License-Identifier: Apache-2.0
"""Which victims belong together, when an incident is whole, what may leave the ring."""

from __future__ import annotations

import pytest

from container_oomkill.errors import RecordError
from container_oomkill.incident.assembler import NO_END_SECONDS, QUIET_SECONDS, Assembler
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.model import Host, Incident
from container_oomkill.incident.wire import lib

from ..support import records

HOST = Host("node", "6.12", 4096, clock_offset_ns=0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """An assembler, its clock and the kernel's count of kills."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.kills: int | None = 10
        self.assembler = Assembler(Decoder(HOST), self.clock, lambda: self.kills, 10)
        self.position = 0

    def take(self, data: bytes) -> list[tuple[list[int | None], int]]:
        self.position += 1
        return show(self.assembler.take(data, self.position))

    def overdue(self) -> list[tuple[list[int | None], int]]:
        return show(self.assembler.overdue())


def show(completed: object) -> list[tuple[list[int | None], int]]:
    """Each incident as its victims' pids, with its release position."""
    whole: list[tuple[Incident, int]] = list(completed)  # type: ignore[call-overload]
    return [([victim.pid for victim in incident.victims], at) for incident, at in whole]


def member(incident: int, pid: int, hook: int = lib.OOMKILL_HOOK_FENTRY) -> bytes:
    head = {"incident": incident, "hook": hook}
    return records.victim(head=head, flags=lib.OOMKILL_GROUP, process__pid=pid, points=9)


def alone(incident: int, pid: int, flags: int = 0) -> bytes:
    return records.victim(head={"incident": incident}, process__pid=pid, flags=flags)


def test_one_victim_is_whole_at_once() -> None:
    bench = Bench()
    assert bench.take(alone(1, 11)) == [([11], 1)]
    assert bench.assembler.seconds_left() is None


def test_a_group_is_whole_at_its_end_mark() -> None:
    bench = Bench()
    assert bench.take(member(1, 11)) == []
    assert bench.take(member(1, 12)) == []
    assert bench.take(records.end(incident=1)) == [([11, 12], 3)]
    assert bench.take(records.end(incident=1)) == []


def test_only_the_chosen_one_has_points() -> None:
    bench = Bench()
    bench.take(member(1, 11))
    bench.take(member(1, 12))
    ((incident, _),) = bench.assembler.take(records.end(incident=1), 3)
    assert [victim.points for victim in incident.victims] == [9, None]


def test_a_group_whose_end_mark_was_lost_is_whole_when_the_next_incident_begins() -> None:
    bench = Bench()
    bench.take(member(1, 11))
    bench.take(member(1, 12))
    assert bench.take(alone(2, 21)) == [([11, 12], 2), ([21], 3)]


@pytest.mark.parametrize(
    ("hook_id", "seconds"),
    [
        (lib.OOMKILL_HOOK_FENTRY, NO_END_SECONDS),
        (lib.OOMKILL_HOOK_KPROBE, NO_END_SECONDS),
        (lib.OOMKILL_HOOK_RAW_TRACEPOINT, QUIET_SECONDS),
    ],
)
def test_a_group_without_an_end_mark_is_whole_when_nothing_more_comes(
    hook_id: int, seconds: float
) -> None:
    bench = Bench()
    bench.take(member(1, 11, hook_id))
    bench.clock.now += seconds / 2
    bench.take(member(1, 12, hook_id))
    bench.clock.now += seconds * 0.9
    assert bench.overdue() == []
    assert bench.assembler.seconds_left() == pytest.approx(seconds * 0.1)
    bench.clock.now += seconds
    assert bench.assembler.seconds_left() == 0
    assert bench.overdue() == [([11, 12], 2)]
    assert bench.overdue() == []


def test_a_victim_that_comes_after_all_is_said_to_be_lost() -> None:
    """Whoever goes on from the checkpoint takes its incident for one that was delivered."""
    bench = Bench()
    bench.take(member(1, 11))
    bench.clock.now += NO_END_SECONDS
    assert bench.overdue() == [([11], 1)]
    with pytest.raises(RecordError, match="victim of incident 1: it was already delivered"):
        bench.take(member(1, 12))
    assert bench.take(records.end(incident=1)) == []
    assert bench.take(alone(2, 21)) == [([21], 4)]


def test_an_unsure_mark_counts_if_the_kernel_counted_one_more() -> None:
    bench = Bench()
    unsure = lib.OOMKILL_KILL_UNSURE
    assert bench.take(alone(1, 11, unsure)) == []
    bench.kills = 12
    assert bench.take(alone(2, 21, unsure)) == [([21], 2)]
    assert bench.take(alone(3, 31, unsure)) == [([31], 3)]
    assert bench.take(alone(4, 41, unsure)) == []
    bench.kills = None
    assert bench.take(alone(5, 51, unsure)) == [([51], 5)]


def test_the_kernel_counts_the_chosen_one_of_a_group_twice() -> None:
    bench = Bench()
    bench.take(member(1, 11))
    bench.take(member(1, 12))
    bench.kills = 10 + 3
    assert bench.take(alone(2, 21, lib.OOMKILL_KILL_UNSURE)) == [([11, 12], 2)]
    bench.kills += 1
    assert bench.take(alone(3, 31, lib.OOMKILL_KILL_UNSURE)) == [([31], 4)]


def test_or_once_where_it_was_gone_by_then() -> None:
    bench = Bench()
    bench.take(member(1, 11))
    bench.take(member(1, 12))
    bench.kills = 10 + 2
    assert bench.take(records.end(incident=1)) == [([11, 12], 3)]
    bench.kills += 1
    assert bench.take(alone(2, 21, lib.OOMKILL_KILL_UNSURE)) == [([21], 4)]
    assert bench.take(alone(3, 31, lib.OOMKILL_KILL_UNSURE)) == []


def test_whose_the_missing_ones_are() -> None:
    """Between two records of an incident all are its own; between two incidents nobody knows."""
    bench = Bench()
    members = [
        records.victim(
            head={"incident": 1, "sequence": number}, flags=lib.OOMKILL_GROUP, process__pid=number
        )
        for number in (1, 2, 7)
    ]
    for member_of_it in members:
        assert bench.take(member_of_it) == []
    assert bench.take(records.end(incident=1, sequence=10)) == [([1, 2, 7], 4)]
    assert bench.assembler.lacking == {1: 6}
    assert bench.assembler.missing == 6
    bench.take(records.victim(head={"incident": 4, "sequence": 15}, process__pid=8))
    assert bench.assembler.lacking == {1: 6}
    assert bench.assembler.missing == 10


def test_a_broken_record_does_not_lose_the_open_incident() -> None:
    bench = Bench()
    bench.take(member(1, 11))
    with pytest.raises(RecordError):
        bench.take(b"broken")
    assert bench.take(records.end(incident=1)) == [([11], 3)]


def test_a_broken_record_is_not_a_gap_as_well() -> None:
    bench = Bench()
    bench.take(records.victim(head={"sequence": 1}))
    with pytest.raises(RecordError):
        bench.take(b"broken")
    bench.take(records.victim(head={"sequence": 3, "incident": 2}))
    assert bench.assembler.missing == 0
    bench.take(records.victim(head={"sequence": 5, "incident": 3}))
    assert bench.assembler.missing == 1
