# SPDX-License-Identifier: Apache-2.0
"""Kills by others on their way: behind the incidents, so many at a time, broken ones counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from container_oomkill.identity.resolver import Resolver
from container_oomkill.killers.attach import Killers
from container_oomkill.killers.model import Kill
from container_oomkill.pipeline.kills import A_TURN, KillDelivery

from ..support.kills import C, Signals, kill_bytes

INSIDE = kill_bytes(target=f"/docker/{C}", sender=f"/docker/{C}", target__pid=41)
ON_HOST = kill_bytes(target="/system.slice/a.service", sender="/system.slice/b.service")


def delivery(signals: Signals, to: list[Kill], lost: list[str]) -> KillDelivery:
    return KillDelivery(
        cast("Killers", signals),
        [to.append],
        Resolver(),
        node="here",
        on_lost=lambda reason, _: lost.append(reason),
    )


def test_what_ended_a_part_of_a_container_is_delivered_with_its_cause() -> None:
    got: list[Kill] = []
    lost: list[str] = []
    signals = Signals(ON_HOST, INSIDE, b"broken", INSIDE)
    assert not delivery(signals, got, lost).deliver()
    assert [each.target.pid for each in got] == [41, 41]
    assert got[0].container.id == C
    assert got[0].killer.cause == "unknown"  # of a sender whose command is not known
    assert got[0].verdict
    assert got[0].node == "here"
    assert lost == ["broken_record"]
    assert signals.released == [1, 2, 3, 4]  # whatever became of it


def test_no_more_than_a_turn_at_once() -> None:
    got: list[Kill] = []
    signals = Signals(*[INSIDE] * (A_TURN + 1))
    delivered = delivery(signals, got, [])
    assert delivered.deliver()
    assert len(got) == A_TURN
    assert not delivered.deliver()
    assert len(got) == A_TURN + 1


class Answers:
    """Stands for `kubernetes.pod_ends.PodEnds`: each kill waits until the test has its answer."""

    def __init__(self) -> None:
        self.waiting: list[Kill] = []
        self.told: list[Kill] = []

    def fileno(self) -> int:
        return -2

    def ask(self, kill: Kill) -> bool:
        self.waiting.append(kill)
        return True

    def answered(self) -> Iterator[Kill]:
        while self.told:
            yield self.told.pop()

    def left(self) -> Iterator[Kill]:
        while self.waiting:
            yield self.waiting.pop()


def test_who_waits_for_an_answer_is_delivered_with_it() -> None:
    got: list[Kill] = []
    signals, answers = Signals(ON_HOST, INSIDE), Answers()
    delivered = KillDelivery(
        cast("Killers", signals), [got.append], Resolver(), node="here", pod_ends=answers
    )
    assert delivered.filenos() == [-1, -2]
    assert not delivered.deliver()
    assert got == []
    assert signals.released == [1, 2]  # the ring does not wait
    (waiting,) = answers.waiting
    answers.told = [replace(answers.waiting.pop(), pod_end="evicted", verdict=None)]
    assert not delivered.deliver()
    assert [(each.target, each.pod_end) for each in got] == [(waiting.target, "evicted")]
    assert got[0].verdict  # told anew


def test_at_the_end_nothing_waits() -> None:
    got: list[Kill] = []
    answers = Answers()
    delivered = KillDelivery(
        cast("Killers", Signals(INSIDE)), [got.append], Resolver(), node="here", pod_ends=answers
    )
    delivered.deliver()
    delivered.settle()
    assert [each.target.pid for each in got] == [41]
