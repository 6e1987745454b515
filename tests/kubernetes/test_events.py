# SPDX-License-Identifier: Apache-2.0
"""Events on pods and nodes, written to a real server that fails in every way it can."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import kubernetes_validate
import pytest

from container_oomkill.incident.model import Incident
from container_oomkill.kubernetes.access import Access
from container_oomkill.kubernetes.api import Api
from container_oomkill.kubernetes.events import Events
from container_oomkill.system.backoff import Backoff

from ..support.api_server import (
    EVENT,
    NODE,
    Cluster,
    Fault,
    serving,
    uid,
)
from ..support.incidents import BOOT_NS, TIME, container, incident, node_wide
from ..support.logged import logged
from ..support.manifests import NEWEST, OLDEST
from ..support.waiting import PATIENCE_SECONDS, eventually

BOOT = "5d3a1f00-aaaa-bbbb-cccc-0123456789ab"


class Started:
    def __init__(self, stack: ExitStack, log: list[str]) -> None:
        self._stack = stack
        self.cluster = Cluster()
        self.lost: list[int] = []
        self.log = log

    def url(self) -> str:
        return self._stack.enter_context(serving(self.cluster))

    def events(
        self, url: str | None = None, *, patience: float = PATIENCE_SECONDS, **changes: Any
    ) -> Events:
        api = Api(Access(url or self.url()), patience=patience)
        self._stack.callback(api.close)
        backoff = Backoff(first=0.02, most=0.1)
        values: dict[str, Any] = {"backoff": backoff, **changes}
        return self._stack.enter_context(Events(api, NODE, BOOT, self.lost.append, **values))

    def written(self, count: int) -> list[Any]:
        """Wait until the counts of all Events add up."""

        def all_of_them() -> list[Any]:
            found = self.cluster.events()
            return found if sum(each["count"] for each in found) >= count else []

        found: list[Any] = eventually(all_of_them)
        return found


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    with ExitStack() as stack:
        yield Started(stack, logged(monkeypatch))


def kill(number: int = 1, name: str | None = "app", **changes: Any) -> Incident:
    changes = {"boot_ns": BOOT_NS + number, "verdict": f"its own limit, {number}"} | changes
    return incident(number, container=container(name, pod_uid=uid(1)), **changes)


def test_one_kill_is_one_event_on_its_pod(started: Started) -> None:
    started.events()(kill())
    [event] = started.written(1)
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"cart-7d9f4.5d3a1f00-{BOOT_NS + 1:x}",
            "namespace": "shop",
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "shop",
            "name": "cart-7d9f4",
            "uid": uid(1),
            "fieldPath": "spec.containers{app}",
        },
        "type": "Warning",
        "reason": "OOMKilling",
        "message": "its own limit, 1",
        "count": 1,
        "firstTimestamp": "2026-09-21T14:13:21Z",
        "lastTimestamp": "2026-09-21T14:13:21Z",
        "source": {"component": "container-oomkill", "host": NODE},
        "reportingComponent": "container-oomkill",
        "reportingInstance": NODE,
    }
    assert TIME + 1 == 1_790_000_001.5


@pytest.mark.parametrize("url", ["https://oom.example.com", "https://oom.example.com/node-7/"])
def test_the_message_ends_with_a_link(started: Started, url: str) -> None:
    """Whole, however long the verdict is."""
    events = started.events(external_url=url)
    events(kill())
    [event] = started.written(1)
    link = f"{url.rstrip('/')}/incidents/{kill().id}"
    assert event["message"] == f"its own limit, 1 {link}"
    events(kill(2, "other", verdict="ä" * 2000))
    [_, event] = started.written(2)
    assert len(event["message"].encode()) <= 1024
    assert event["message"].endswith(f"ä… {link.replace(kill().id, kill(2).id)}")


@pytest.mark.parametrize(
    ("type_", "field"),
    [
        ("app", "containers"),
        ("init", "initContainers"),
        ("sidecar", "initContainers"),
        ("ephemeral", "ephemeralContainers"),
        (None, "containers"),  # without the watch; of most it is right
    ],
)
def test_the_field_is_the_list_that_the_container_is_in(
    started: Started, type_: str | None, field: str
) -> None:
    """As the kubelet's own Events have it (GenerateContainerRef, pkg/kubelet/container/ref.go)."""
    one = container("app", pod_uid=uid(1), type=type_)
    started.events()(incident(1, container=one, verdict="its own limit"))
    [event] = started.written(1)
    assert event["involvedObject"]["fieldPath"] == f"spec.{field}{{app}}"


def test_a_container_that_is_killed_again_has_one_event_that_counts(started: Started) -> None:
    events = started.events()
    for number in range(1, 6):
        events(kill(number))
        started.written(number)
    events(kill(6, "sidecar"))
    found = {each["involvedObject"]["fieldPath"]: each for each in started.written(6)}
    assert {path: each["count"] for path, each in found.items()} == {
        "spec.containers{app}": 5,
        "spec.containers{sidecar}": 1,
    }
    first = found["spec.containers{app}"]
    assert first["message"] == "its own limit, 5"
    assert (first["firstTimestamp"], first["lastTimestamp"]) == (
        "2026-09-21T14:13:21Z",
        "2026-09-21T14:13:25Z",
    )


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_api_knows_every_field(started: Started, version: str) -> None:
    known = container("app", workload="Deployment/cart")
    started.events()(node_wide(container=known))
    for event in started.written(2):
        kubernetes_validate.validate(event, version, strict=True)


def test_a_kill_that_is_in_no_pod_has_none(started: Started) -> None:
    events = started.events()
    events(incident(1, container=container("web", pod=None, namespace=None)))
    events(kill(2))
    assert len(started.written(1)) == 1


@pytest.mark.parametrize("scope", ["node", "cpuset", "mempolicy"])
def test_where_the_node_ran_out_it_has_one_too(started: Started, scope: str) -> None:
    """As the kubelet's own are: `kubectl describe node` looks for that namespace and uid."""
    started.events()(node_wide(scope=scope, verdict="the node ran out of memory"))
    found = {each["involvedObject"]["kind"]: each for each in started.written(2)}
    assert found["Pod"]["message"] == "the node ran out of memory"
    event = found["Node"]
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Node",
        "name": NODE,
        "uid": NODE,
    }
    assert event["metadata"] == {
        "name": f"{NODE}.5d3a1f00-{BOOT_NS:x}",
        "namespace": "default",
    }
    assert event["message"] == "shop/cart-7d9f4/app was killed: the node ran out of memory"
    assert "related" not in event
    [path] = [path for path in started.cluster.objects if "/default/" in path]
    assert path.startswith("/api/v1/namespaces/default/events/")


def test_a_node_without_pods_has_one_and_counts(started: Started) -> None:
    events = started.events()
    for number in range(1, 4):
        outside = container("sshd.service", pod=None, namespace=None)
        events(node_wide(boot_ns=BOOT_NS + number, container=outside))
        started.written(number)
    [event] = started.cluster.events()
    assert (event["involvedObject"]["kind"], event["count"]) == ("Node", 3)


@pytest.mark.parametrize("scope", ["container", "pod", "cgroup", "manual", None])
def test_a_limit_is_nothing_of_the_nodes(started: Started, scope: str | None) -> None:
    started.events()(kill(scope=scope))
    [event] = started.written(1)
    assert event["involvedObject"]["kind"] == "Pod"


@pytest.mark.parametrize(
    ("workload", "related"),
    [
        ("Deployment/cart", {"kind": "Deployment", "name": "cart", "namespace": "shop"}),
        (f"Node/{NODE}", {"kind": "Node", "name": NODE}),
        ("Pod/cart-7d9f4", None),
        (None, None),
    ],
)
def test_what_the_pod_belongs_to(started: Started, workload: str | None, related: object) -> None:
    known = container("app", pod_uid=uid(1), workload=workload)
    started.events()(incident(1, container=known))
    [event] = started.written(1)
    assert event.get("related") == related


def test_a_namespace_leads_nowhere_else(started: Started) -> None:
    """It may be a state file's word."""
    odd = container("app", namespace="../../nodes/node-1?x=#", pod_uid=uid(1))
    started.events()(incident(1, container=odd))
    [asked] = eventually(lambda: started.cluster.requests(EVENT))
    assert asked.path == "/api/v1/namespaces/..%2F..%2Fnodes%2Fnode-1%3Fx%3D%23/events"


def test_the_pods_own_container_and_one_without_a_name(started: Started) -> None:
    events = started.events()
    events(kill(1, "POD"))
    events(kill(2, None))
    [event] = started.written(2)
    assert "fieldPath" not in event["involvedObject"]


def test_an_event_that_was_made_before_a_restart_is_not_made_again(started: Started) -> None:
    url = started.url()
    started.events(url)(kill())
    started.written(1)
    again = started.events(url)
    again(kill())
    again(kill(2))
    [event] = started.written(2)
    assert event["count"] == 2
    assert started.lost == []


def test_an_event_whose_answer_was_lost_counts_all(started: Started) -> None:
    """The server had made it; by the time it is tried again there was another kill."""
    events = started.events()
    name = f"cart-7d9f4.5d3a1f00-{BOOT_NS + 1:x}"
    started.cluster.objects[f"/api/v1/namespaces/shop/events/{name}"] = {"count": 1}
    answer = threading.Event()
    started.cluster.faults.append(Fault(EVENT, after=answer, cut=True))
    events(kill(1))
    eventually(lambda: started.cluster.requests(EVENT))
    events(kill(2))
    answer.set()
    [event] = started.written(2)
    assert event["count"] == 2


def test_an_event_that_the_api_has_forgotten_is_made_anew(started: Started) -> None:
    events = started.events()
    events(kill(1))
    started.written(1)
    eventually(lambda: events.depth() == 0)  # it has the answer too
    started.cluster.objects.clear()
    events(kill(2))
    [event] = started.written(1)
    assert event["metadata"]["name"].endswith(f"{BOOT_NS + 2:x}")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(EVENT, 500, message="etcdserver"),
        Fault(EVENT, 429, headers={"Retry-After": "1"}),
        Fault(EVENT, 403, message="events is forbidden"),
        Fault(EVENT, 401),
        Fault(EVENT, cut=True),
        Fault(EVENT, slow=600),
    ],
)
def test_it_is_tried_again(started: Started, fault: Fault) -> None:
    started.cluster.faults.append(fault)
    started.events(patience=2 if fault.slow else PATIENCE_SECONDS)(kill())
    [event] = started.written(1)
    assert event["count"] == 1
    assert len(started.log) == 1
    assert ("bind a ClusterRole" in started.log[0]) == (fault.code == 403)
    assert started.lost == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(EVENT, 403, cause="NamespaceTerminating"),
        Fault(EVENT, 404, message="namespace not found"),
        Fault(EVENT, 422, message="Invalid"),
    ],
)
def test_what_will_not_do_is_counted_and_the_next_one_written(
    started: Started, fault: Fault
) -> None:
    started.cluster.faults.append(fault)
    events = started.events()
    events(kill(1))
    eventually(lambda: started.lost == [1])
    events(kill(2, "sidecar"))
    [event] = started.written(1)
    assert event["involvedObject"]["fieldPath"] == "spec.containers{sidecar}"


def test_while_the_api_is_down_kills_wait_bounded_and_hold_nobody_up(started: Started) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    events = started.events(f"http://127.0.0.1:{port}", size=2)
    for number in range(1, 301):
        events(kill(number, ("app", "sidecar", "third")[number % 3]))
    assert sum(started.lost) == 100
    with serving(started.cluster, port):
        found = started.written(200)
    assert [each["count"] for each in found] == [100, 100]


def test_what_is_left_at_the_end_is_counted(started: Started) -> None:
    events = started.events(burst=2)
    for number in range(1, 6):
        events(kill(number, f"app-{number}"))
    eventually(lambda: events.depth() == 3)
    events.close()
    events.close()
    assert started.lost == [3]


def test_a_storm_spends_no_more_requests_than_it_may(started: Started) -> None:
    events = started.events(burst=3)
    for number in range(1, 200):
        events(kill(number, f"app-{number % 50}"))
    eventually(lambda: len(started.cluster.requests(EVENT)) == 3)
    events.close()
    assert len(started.cluster.requests(EVENT)) == 3


def test_a_dead_thread_is_not_passed_over(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = started.events()

    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(events, "_tell", broken)
    events(kill(1))
    eventually(lambda: events.worker.failure)
    with pytest.raises(RuntimeError, match="a bug"):
        events(kill(2))


def test_hostile_text_is_shown_as_it_is_and_cut(started: Started) -> None:
    started.events()(kill(1, verdict="a\x1b[31m\n" + "ü" * 2000))
    [event] = started.written(1)
    assert event["message"].startswith("a\\x1b[31m\\x0aü")
    assert len(event["message"].encode()) <= 1024
