# SPDX-License-Identifier: Apache-2.0
"""What a kill by the runtime was for, by the kubelet's Events; and records that wait for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from container_oomkill.incident.model import Container
from container_oomkill.killers.cause import explain
from container_oomkill.killers.model import Kill, Stop
from container_oomkill.kubernetes.access import Access
from container_oomkill.kubernetes.api import Api
from container_oomkill.kubernetes.objects import Event
from container_oomkill.kubernetes.pod_ends import PodEnds, end_told
from container_oomkill.system.backoff import Backoff

from ..support import api_server
from ..support.api_server import Cluster, Fault, serving, uid
from ..support.kills import by, kill
from ..support.waiting import eventually

STOP = Stop(signal="SIGTERM", seconds_before=30.0, pid=4699, command="runc")
LIVENESS = "Container app failed liveness probe, will be restarted"


def killed(number: int = 1, *, pid: int = 4711, stop: Stop | None = STOP, **changes: Any) -> Kill:
    """A container of the cluster's pod of that number; its pod stays."""
    container = Container(
        "ab" * 32, "app", "containerd", pod=f"cart-7d9f4-{number}", namespace="shop",
        pod_uid=uid(number),
    )  # fmt: skip
    made = replace(kill(container=container, stop=stop, pid=pid), pod_end="stays")
    return replace(explain(made), **changes)


def event(reason: str, message: str = "", *, before: float, number: int = 1) -> dict[str, Any]:
    """What the kubelet had said of that pod so many seconds before the kill."""
    at = datetime.fromtimestamp(killed().time - before, UTC)
    return {
        "reason": reason,
        "message": message,
        "lastTimestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "involvedObject": {"uid": uid(number), "fieldPath": "spec.containers{app}"},
    }


@contextmanager
def asking(cluster: Cluster, **options: Any) -> Iterator[PodEnds]:
    with ExitStack() as stack:
        api = Api(Access(stack.enter_context(serving(cluster))))
        stack.callback(api.close)
        yield stack.enter_context(PodEnds(api, **options))


def told(ends: PodEnds, number: int = 1) -> list[Kill]:
    """The answers, once there are so many."""
    found: list[Kill] = []

    def is_all() -> bool:
        found.extend(ends.answered())
        return len(found) == number

    eventually(is_all)
    return found


@pytest.mark.parametrize(
    ("said", "end", "cause"),
    [
        (
            [event("Evicted", "The node was low on resource: memory.", before=30)],
            "evicted",
            "eviction",
        ),
        ([event("Killing", LIVENESS, before=30)], "liveness_failed", "failed_probe"),
        (
            [event("Killing", LIVENESS.replace("liveness", "startup"), before=31)],
            "startup_failed",
            "failed_probe",
        ),
        # Of the time before, and of another pod
        ([event("Killing", LIVENESS, before=300)], "stays", "runtime_stop"),
        ([event("Evicted", before=30, number=2)], "stays", "runtime_stop"),
        ([event("Killing", "Stopping container app", before=30)], "stays", "runtime_stop"),
        ([], "stays", "runtime_stop"),
    ],
)
def test_what_the_kubelet_had_said(said: list[dict[str, Any]], end: str, cause: str) -> None:
    cluster = Cluster()
    cluster.objects = {f"/api/v1/namespaces/shop/events/{n}": each for n, each in enumerate(said)}
    with asking(cluster) as ends:
        assert ends.ask(killed())
        (found,) = told(ends)
    assert found.pod_end == end
    assert explain(found).killer.cause == cause
    (asked,) = cluster.requests(api_server.EVENT)
    assert asked.path == "/api/v1/namespaces/shop/events"


def test_another_container_of_the_pod_is_another_matter() -> None:
    cluster = Cluster()
    cluster.objects["/api/v1/namespaces/shop/events/0"] = event("Killing", LIVENESS, before=30)
    other = killed()
    with asking(cluster) as ends:
        assert ends.ask(replace(other, container=replace(other.container, name="proxy")))
        assert [each.pod_end for each in told(ends)] == ["stays"]


def test_times_that_are_none() -> None:
    for at in ("yesterday", None):
        assert end_told([Event(reason="Evicted", last_timestamp=at)], "app", 0.0) is None


@pytest.mark.parametrize(
    "other",
    [
        killed(pod_end="deleted"),
        killed(pod_end=None),
        explain(replace(killed(), killer=by("bash", unit="session-3.scope"))),
        replace(killed(), container=Container("ab" * 32, "app", "docker")),
    ],
    ids=["being deleted", "unknown", "by hand", "no pod"],
)
def test_who_does_not_wait(other: Kill) -> None:
    cluster = Cluster()
    with asking(cluster) as ends:
        assert not ends.ask(other)
        assert list(ends.left()) == []
    assert cluster.requests(api_server.EVENT) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(api_server.EVENT, code=403, message="events is forbidden"),
        Fault(api_server.EVENT, code=500),
        Fault(api_server.EVENT, cut=True),
        Fault(api_server.EVENT, body=b"[]"),
        Fault(api_server.EVENT, body=b'{"items": [{"reason": 1}]}'),
    ],
    ids=["refused", "broken", "cut", "no list", "no Event"],
)
def test_no_answer_is_one(fault: Fault, capsys: pytest.CaptureFixture[str]) -> None:
    """And the next ones do not wait for a server that has just failed."""
    cluster = Cluster()
    cluster.faults = [fault]
    with asking(cluster, backoff=Backoff(first=3600, most=3600)) as ends:
        assert ends.ask(killed())
        assert [each.pod_end for each in told(ends)] == ["stays"]
        assert ends.ask(killed(pid=4712))
        assert [each.target.pid for each in told(ends)] == [4712]
    assert len(cluster.requests(api_server.EVENT)) == 1
    said = capsys.readouterr().err
    assert said.count("read a pod's Events: ") == 1
    assert ("allows list on events" in said) == (fault.code == 403)


def test_so_many_wait_at_a_time_and_none_at_the_end() -> None:
    cluster = Cluster()
    slow = threading.Event()
    cluster.faults = [Fault(api_server.EVENT, after=slow)]
    with asking(cluster, size=2) as ends:
        kills = [killed(pid=pid) for pid in (1, 2, 3)]
        assert [ends.ask(each) for each in kills] == [True, True, False]
        eventually(lambda: cluster.requests(api_server.EVENT))
        assert list(ends.answered()) == []
        assert list(ends.left()) == kills[:2]
        slow.set()
        eventually(lambda: len(cluster.requests(api_server.EVENT)) == 2)
        assert list(ends.answered()) == []  # it has been given away
