# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' OOMKilled against the kernel: counted once, in either direction, and said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from container_oomkill.kubernetes.access import Access
from container_oomkill.kubernetes.api import Api
from container_oomkill.kubernetes.objects import seconds_of
from container_oomkill.kubernetes.status import DIRECTIONS, StatusCheck
from container_oomkill.kubernetes.watch import PodWatch
from container_oomkill.metrics.table import MISMATCHES
from container_oomkill.system.backoff import Backoff

from ..support.api_server import NODE, Cluster, container_id, pod, serving
from ..support.incidents import container, incident, victim
from ..support.logged import logged
from ..support.waiting import PATIENCE_SECONDS, eventually

STARTED, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


class Checked:
    """A cluster, its watch and what it is held against."""

    def __init__(self, stack: ExitStack, log: list[str]) -> None:
        self.found: list[str] = []
        self.log = log
        started = seconds_of(STARTED)
        assert started is not None
        self.check = StatusCheck(self.found.append, wall=lambda: started)
        self.cluster = Cluster()
        api = Api(Access(stack.enter_context(serving(self.cluster))), patience=PATIENCE_SECONDS)
        backoff = Backoff(first=0.02, most=0.1)
        watch = PodWatch(api, NODE, backoff=backoff, on_status=self.check.ended)
        self.watch = stack.enter_context(watch)

    def kill(self, number: int, *, pid_in_container: int = 1) -> None:
        killed = victim(pid=900, pid_in_container=pid_in_container)
        whose = container("app", id=container_id(number))
        self.check(incident(number, container=whose, victims=(killed,)))

    def ends(self, number: int, reason: str, *, at: str = LATER, state: str = "state") -> None:
        """The API says so of that pod's container, and of the next pod that it is there."""
        ended = pod(number)
        (status,) = ended["status"]["containerStatuses"]
        terminated: dict[str, Any] = {"reason": reason, "exitCode": 137, "finishedAt": at}
        terminated["containerID"] = f"containerd://{container_id(number)}"
        status[state] = {"terminated": terminated}
        self.cluster.put(ended)
        known = len(self.watch.pods)
        self.cluster.put(pod(100 + known))
        eventually(lambda: len(self.watch.pods) > known)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checked]:
    with ExitStack() as stack:
        yield Checked(stack, logged(monkeypatch))


def test_a_status_without_a_kill(checked: Checked) -> None:
    checked.ends(1, "OOMKilled")
    eventually(lambda: checked.found == ["status_without_kill"])
    assert any(
        "says OOMKilled, and the kernel killed nothing in it" in line for line in checked.log
    )


def test_a_kill_without_the_status(checked: Checked) -> None:
    checked.kill(1)
    checked.ends(1, "Error", state="lastState")
    eventually(lambda: checked.found == ["kill_without_status"])
    assert any("killed its PID 1, and Kubernetes says Error" in line for line in checked.log)


def test_what_agrees_is_not_counted(checked: Checked) -> None:
    checked.kill(1)
    checked.ends(1, "OOMKilled")
    checked.ends(2, "Error")
    checked.kill(3, pid_in_container=7)  # a child: the container may end as it likes
    checked.ends(3, "Error")
    checked.kill(4, pid_in_container=7)
    checked.ends(4, "OOMKilled")
    checked.ends(5, "OOMKilled", at="2025-12-31T23:59:59Z")  # before anybody watched
    checked.ends(6, "OOMKilled", at="nonsense")
    checked.ends(7, "OOMKilled")
    eventually(lambda: checked.found == ["status_without_kill"])


def test_each_end_is_counted_once(checked: Checked) -> None:
    for state in ("state", "lastState", "state"):
        checked.ends(1, "OOMKilled", state=state)
    checked.ends(2, "OOMKilled")
    eventually(lambda: checked.found == ["status_without_kill"] * 2)


def test_the_metric_has_these_directions_from_0() -> None:
    assert set(DIRECTIONS) == set(MISMATCHES)
