# SPDX-License-Identifier: Apache-2.0
"""From the ring to the sinks: one record for each episode, with what was known at its begin."""

from __future__ import annotations

import io
import json
from typing import cast

import pytest

from container_oomkill.identity.resolver import Resolver
from container_oomkill.incident.wire import lib
from container_oomkill.libbpf.ring import Ring
from container_oomkill.metrics.stuck import StuckEpisodes
from container_oomkill.pipeline.stuck import StuckDelivery
from container_oomkill.sinks.query import Query
from container_oomkill.sinks.stuck_formats import open_stuck_sink
from container_oomkill.sinks.stuck_query import stuck_matches
from container_oomkill.sinks.stuck_record import stuck_from_object, stuck_to_object
from container_oomkill.stuck.cause import explain, with_cause
from container_oomkill.stuck.model import CAUSES, SILENT_SECONDS, Stuck

from ..support.incidents import BOOT_NS, HOSTILE, TIME
from ..support.stuck import Records, stuck, stuck_bytes
from ..support.wire_flow import harmless

ENDED = lib.OOMKILL_STUCK_ENDED


class Delivered:
    def __init__(self, *records: bytes, killable: bool | None = False) -> None:
        self.began: list[Stuck] = []
        self.going: list[Stuck] = []
        self.told: list[Stuck] = []
        self.lost: list[str] = []
        self.ring = Records(*records)
        self.delivery = StuckDelivery(
            cast("Ring", self.ring),
            [self.told.append],
            Resolver(),
            on_begin=self.began.append,
            on_going=self.going.append,
            on_lost=lambda reason, _: self.lost.append(reason),
            killable=lambda *_: killable,
        )
        self.delivery.deliver()


def test_one_record_however_often_it_is_told() -> None:
    done = Delivered(
        stuck_bytes(),
        stuck_bytes(seconds=63, events=900),
        stuck_bytes(seconds=70, events=1000, state=ENDED, path=b""),
    )
    (began,) = done.began
    (told,) = done.told
    assert (began.stuck.ended, told.stuck.ended) == (False, True)
    assert [each.stuck.events for each in done.going] == [471, 900]
    assert began.id == told.id
    assert told.cgroup == "/kubepods/pod1/app"
    assert (told.stuck.cause, told.stuck.events) == ("nothing_killable", 1000)
    assert told.stuck.seconds == 70
    assert "all of its processes have an oom_score_adj of -1000" in str(told.verdict)
    assert str(told.verdict).endswith("it went on for 1 min 10 s")
    assert done.ring.released == 3


def test_two_of_one_cgroup_are_two() -> None:
    later = BOOT_NS + 10**12
    done = Delivered(
        stuck_bytes(), stuck_bytes(state=ENDED), stuck_bytes(began_ns=later, seconds=4)
    )
    assert [each.boot_ns for each in done.began] == [BOOT_NS, later]
    assert len(done.told) == 1


def test_an_end_without_its_begin_is_told_as_far_as_is_known() -> None:
    (told,) = Delivered(stuck_bytes(state=ENDED, path=b"", cause=2)).told
    assert (told.cgroup, told.stuck.cause) == (None, "oom_disabled")
    (told,) = Delivered(stuck_bytes(state=ENDED)).told
    assert told.stuck.cause is None  # its processes are others by now


@pytest.mark.parametrize(
    ("killable", "cause"), [(True, "charge_refused"), (False, "nothing_killable"), (None, None)]
)
def test_why_nothing_was_killed(killable: bool | None, cause: str | None) -> None:
    (began,) = Delivered(stuck_bytes(), killable=killable).began
    assert began.stuck.cause == cause


def test_of_one_event_there_is_no_duration() -> None:
    huge = lib.OOMKILL_STUCK_HUGE_PAGE
    (told,) = Delivered(stuck_bytes(state=ENDED, cause=huge, events=1, seconds=0.0)).told
    assert str(told.verdict).endswith("who touched it got SIGBUS 1 time")
    stream = io.StringIO()
    open_stuck_sink("text", stream)(told)
    assert stream.getvalue().splitlines()[0].endswith("pod1/app  refused huge pages")


def test_a_broken_record_is_counted() -> None:
    done = Delivered(b"nonsense", stuck_bytes())
    assert done.lost == ["broken_record"]
    assert len(done.began) == 1


def test_what_goes_on_is_counted_until_it_ends() -> None:
    clock = [0.0]
    episodes = StuckEpisodes(lambda: clock[0])
    for each in (stuck(), stuck(cgroup_id=9), stuck(cgroup_id=10, cause=None)):
        episodes.begin(each)
        episodes.goes_on(each)
    app = ("shop", "cart-7d9f4", "app")
    assert episodes.ongoing() == {(*app, "nothing_killable"): 2, (*app, "unknown"): 1}
    for cgroup_id in (7, 9, 10, 11):
        episodes.end(stuck(cgroup_id=cgroup_id))
    assert episodes.ongoing() == {}
    episodes.goes_on(stuck())
    clock[0] += SILENT_SECONDS
    episodes.goes_on(stuck(cgroup_id=9))
    clock[0] += 1  # the end of the first was lost
    assert episodes.ongoing() == {(*app, "nothing_killable"): 1}
    assert episodes.totals()["nothing_killable"] == 2
    assert set(episodes.totals()) == {*CAUSES, "unknown"}


@pytest.mark.parametrize("cause", [*CAUSES, None])
def test_each_cause_in_every_format(cause: str | None) -> None:
    told = explain(stuck(cause=cause, cgroup=f"/{HOSTILE}"))
    assert stuck_from_object(json.loads(json.dumps(stuck_to_object(told)))) == told
    for output in ("text", "json", "logfmt"):
        stream = io.StringIO()
        open_stuck_sink(output, stream)(told)
        harmless(stream.getvalue(), 100 if output == "text" else None)
    assert with_cause(told, killable=True).stuck.cause == (cause or "charge_refused")


def test_filters() -> None:
    one = stuck()
    assert stuck_matches(Query(), one)
    assert stuck_matches(Query(container="app", namespace="shop", cgroup="/kubepods"), one)
    assert stuck_matches(Query(container="ab" * 6), one)  # its id
    assert not stuck_matches(Query(container="db"), one)
    assert not stuck_matches(Query(cgroup="/system.slice"), one)
    assert not stuck_matches(Query(cgroup="pod"), one)  # a part of a name is none
    assert not stuck_matches(Query(scope="node"), one)
    assert not stuck_matches(Query(shape="leak"), one)
    assert stuck_matches(Query(id=one.id[:6]), one)
    assert not stuck_matches(Query(id="x"), one)


def test_since_and_until_are_of_all_the_time_that_it_went_on() -> None:
    one = stuck()  # for 3 s
    assert stuck_matches(Query(after_time=TIME + 2), one)
    assert not stuck_matches(Query(after_time=TIME + 3), one)
    assert stuck_matches(Query(before_time=TIME + 1), one)
    assert not stuck_matches(Query(before_time=TIME), one)
