# SPDX-License-Identifier: Apache-2.0
"""Kills by others on the pages and in the API: behind the incidents, under the same filters."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.incident.model import Container
from container_oomkill.killers.cause import explain
from container_oomkill.killers.model import Kill, Stop

from ...support.http_client import ask, get
from ...support.incidents import HOSTILE, now
from ...support.kills import C, by, kill

TERM = Stop(signal="SIGTERM", seconds_before=10.0, pid=4699, command="runc")


def recent(number: int = 1, *, name: str = "cart", age: float = 60.0, **changes: Any) -> Kill:
    container = Container(C, name, "containerd", namespace="shop", pod=f"{name}-1")
    made = explain(kill(container=container, stop=TERM, **changes))
    return replace(made, time=time.time() - age, boot_ns=made.boot_ns + number)


def body(exporter: Exporter, path: str, status: int = 200) -> str:
    answer = ask(exporter.addresses[0], get(path))
    assert answer.status == status
    return answer.body.decode()


def test_incidents_come_first(exporter: Exporter) -> None:
    exporter.sink(now())
    exporter.kill_sink(recent())
    page = body(exporter, "/")
    assert page.index("1 OOM kill in the last 24 hours") < page.index("1 kill by others in the")
    assert "had been sent SIGTERM 10.0 s before" in page
    assert "exit code 137" in page


def test_without_any_there_is_no_section(exporter: Exporter) -> None:
    assert "by others in the last" not in body(exporter, "/")
    assert "None has been recorded" in body(exporter, "/kills")


def test_the_page_lists_all_and_filters(exporter: Exporter) -> None:
    for number in range(8):
        exporter.kill_sink(recent(number, name="cart" if number else "db"))
    assert "8 kills by others" in body(exporter, "/kills")
    page = body(exporter, "/kills?container=db")
    assert "1 kill by others, container db" in page
    assert "db-1" in page
    assert "There" not in body(exporter, "/?container=cart&since=2h").split("by others")[0]
    assert "expected a whole number" in body(exporter, "/kills?page=x", 400)


def test_the_api(exporter: Exporter) -> None:
    for number in range(3):
        exporter.kill_sink(recent(number, age=100 - number))
    answer = json.loads(body(exporter, "/api/v1/kills?limit=2"))
    assert [each["kind"] for each in answer["kills"]] == ["kill", "kill"]
    assert (answer["total"], answer["next"]) == (3, "/api/v1/kills?limit=2&page=2")
    assert answer["kills"][0]["time"] > answer["kills"][1]["time"]
    assert json.loads(body(exporter, "/api/v1/kills?namespace=other"))["kills"] == []
    assert "expected" in json.loads(body(exporter, "/api/v1/kills?limit=x", 400))["error"]
    assert json.loads(body(exporter, "/api/v1/incidents"))["incidents"] == []


def test_why_a_container_ended(exporter: Exporter) -> None:
    exporter.sink(now(container=recent().container))
    exporter.kill_sink(recent(age=5))
    exporter.kill_sink(recent(2, name="db"))
    page = body(exporter, "/why?container=cart")
    assert "Ended 5 s ago by SIGKILL (exit code 137)" in page or "Ended 6 s ago" in page
    assert "had been sent SIGTERM" in page
    assert "by the kernel&#39;s OOM killer" in page
    assert "db-1" not in page
    assert "has been recorded" not in body(exporter, "/why")
    assert "No SIGKILL of a container <bdi>x</bdi> has been" in body(exporter, "/why?container=x")


@pytest.mark.parametrize("path", ["/", "/kills", "/api/v1/kills", "/why?container=x"])
def test_names_do_no_harm(exporter: Exporter, path: str) -> None:
    exporter.kill_sink(
        recent(name=f"x{HOSTILE}", killer=by(HOSTILE, unit=HOSTILE), command=HOSTILE)
    )
    page = body(exporter, path)
    assert ("<script>alert" in page) is path.startswith("/api")  # as JSON, a text like any other
    assert "\x1b" not in page
