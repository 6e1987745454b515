# SPDX-License-Identifier: Apache-2.0
"""Kills by others, counted: every cause from 0, containers bounded."""

from __future__ import annotations

from container_oomkill.incident.model import Container
from container_oomkill.killers.cause import CAUSES, explain
from container_oomkill.metrics.others import OtherKills

from ..support.incidents import Clock, FakeProbe
from ..support.kills import by, kill
from ..support.scraping import make, scrape, value


def test_every_cause_begins_at_0() -> None:
    metrics = make()
    for cause in CAUSES:
        assert value(metrics, "container_oomkill_other_kills_total", cause=cause) == 0
    metrics.by_another(explain(kill()))
    metrics.by_another(explain(kill(killer=by("sh", is_inside=True))))
    assert value(metrics, "container_oomkill_other_kills_total", cause="runtime_kill") == 1
    named = {"container": "shop-cart-1", "cause": "inside"}
    assert value(metrics, "container_oomkill_container_other_kills_total", **named) == 1
    assert value(metrics, "container_oomkill_sigkills_total") == 70
    assert value(metrics, "container_oomkill_other_kills_lost_total", reason="rate_limit") == 8


def test_nothing_is_claimed_where_nothing_is_recorded() -> None:
    probe = FakeProbe()
    probe.signalled = {}
    page = scrape(make(probe)).decode()
    assert "\ncontainer_oomkill_sigkills_total " not in page
    assert 'other_kills_total{cause="' not in page


def test_names_are_bounded_and_expire() -> None:
    clock = Clock()
    others = OtherKills(max_containers=2, monotonic=clock)
    others.record(("shop", "", "calm"), "user", "namespace shop")
    for number in range(20):
        others.record(("loud", "", f"app-{number}"), "user", "namespace loud")
    assert len(others.by_container()) == 8
    assert ("shop", "", "calm", "user") in others.by_container()
    assert others.evicted == 13
    clock.now += 86400
    assert others.by_container() == {}
    assert others.by_cause()["user"] == 21


def test_a_hostile_name_is_cleaned() -> None:
    metrics = make()
    metrics.by_another(explain(kill(container=Container("cd" * 32, "\x1b[2J\n", "docker"))))
    page = scrape(metrics).decode()
    assert "\x1b" not in page
    assert 'container="\\\\x1b[2J\\\\n"' in page
