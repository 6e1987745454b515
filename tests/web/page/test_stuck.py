# SPDX-License-Identifier: Apache-2.0
"""Out of memory without a kill on the pages and in the API: as kills by others are."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.incident.model import Container
from container_oomkill.stuck.cause import explain
from container_oomkill.stuck.model import THROTTLED, Stuck

from ...support.http_client import ask, get
from ...support.incidents import HOSTILE, MIB, now
from ...support.kills import C, kill
from ...support.stuck import stuck


def recent(
    number: int = 1, *, name: str = "cart", age: float = 60.0, ended: bool = True, **changes: Any
) -> Stuck:
    whose = Container(C, name, "containerd", namespace="shop", pod=f"{name}-1")
    made = stuck(time=time.time() - age, boot_ns=1000 + number, container=whose, **changes)
    return explain(replace(made, stuck=replace(made.stuck, ended=ended)))


def body(exporter: Exporter, path: str, status: int = 200) -> str:
    answer = ask(exporter.addresses[0], get(path))
    assert answer.status == status
    return answer.body.decode()


def test_what_is_so_now_is_on_the_overview(exporter: Exporter) -> None:
    exporter.sink(now())
    exporter.kill_sink(replace(kill(), time=time.time()))
    exporter.stuck_goes_on(recent(ended=False))
    exporter.stuck_sink(recent(2))
    page = body(exporter, "/")
    heading = "Out of memory without a kill: 2 times in the last 24 hours, 1 of them now"
    assert page.index("1 OOM kill in the last 24 hours") < page.index(heading)
    assert page.index(heading) < page.index("1 kill by others in the last 24 hours")
    assert "all of its processes have an oom_score_adj of -1000" in page
    assert page.count(">nothing may be killed<") == 2
    assert '<span class="ago">now</span>' in page
    assert "24.0 MiB" in page


def test_without_any_there_is_no_section(exporter: Exporter) -> None:
    assert "Out of memory without a kill:" not in body(exporter, "/")
    assert "None has been recorded" in body(exporter, "/stuck")
    exporter.stuck_sink(recent(age=100_000))
    page = body(exporter, "/")
    assert "Out of memory without a kill: 0 times in the last 24 hours" in page
    assert "All 1" in page


def test_the_page_lists_all_and_filters(exporter: Exporter) -> None:
    for number in range(8):
        exporter.stuck_sink(recent(number, name="cart" if number else "db"))
    assert "Out of memory without a kill: 8 times" in body(exporter, "/stuck")
    page = body(exporter, "/stuck?container=db")
    assert "Out of memory without a kill: 1 time, container db" in page
    assert "db-1" in page
    assert "cart-1" not in page
    assert "Out of memory without a kill:" not in body(exporter, "/?container=x")
    assert "expected a whole number" in body(exporter, "/stuck?page=x", 400)


def test_the_limit_that_matters_is_shown(exporter: Exporter) -> None:
    exporter.stuck_sink(recent(cause=THROTTLED, high_bytes=8 * MIB, limit_bytes=None))
    page = body(exporter, "/stuck")
    assert '<span class="amount">8.0 MiB</span>' in page
    assert "throttled over memory.high" in page


def test_the_api(exporter: Exporter) -> None:
    for number in range(3):
        exporter.stuck_sink(recent(number, age=100 - number))
    exporter.stuck_goes_on(recent(9, age=30, ended=False))
    answer = json.loads(body(exporter, "/api/v1/stuck?limit=2"))
    assert [each["kind"] for each in answer["stuck"]] == ["stuck", "stuck"]
    assert [each["stuck"]["ended"] for each in answer["stuck"]] == [False, True]
    assert answer["stuck"][0]["stuck"]["seconds"] >= 30
    assert (answer["total"], answer["next"]) == (4, "/api/v1/stuck?limit=2&page=2")
    assert json.loads(body(exporter, "/api/v1/stuck?namespace=other"))["stuck"] == []
    assert "expected" in json.loads(body(exporter, "/api/v1/stuck?limit=x", 400))["error"]
    assert json.loads(body(exporter, "/api/v1/kills"))["kills"] == []


def test_why_a_container_hangs(exporter: Exporter) -> None:
    exporter.stuck_goes_on(recent(ended=False))
    page = body(exporter, "/why?container=cart")
    assert "Not known to have ended by SIGKILL." in page
    assert "Out of memory without a kill now: " in page
    assert f'href="/stuck#{recent().id}"' in page
    exporter.kill_sink(replace(kill(container=recent().container), time=time.time()))
    exporter.stuck_sink(recent())
    page = body(exporter, "/why?container=cart")
    assert "by SIGKILL (exit code 137)" in page
    assert "Out of memory without a kill 57 s ago: " in page


@pytest.mark.parametrize("path", ["/", "/stuck", "/api/v1/stuck", "/why?container=x"])
def test_names_do_no_harm(exporter: Exporter, path: str) -> None:
    exporter.stuck_sink(recent(name=f"x{HOSTILE}", cgroup=f"/{HOSTILE}", node=HOSTILE))
    page = body(exporter, path)
    assert ("<script>alert" in page) is path.startswith("/api")  # as JSON, a text like any other
    assert "\x1b" not in page
