# SPDX-License-Identifier: Apache-2.0
"""The pod watch against a real server: what it learns, and what it does when the API fails."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from container_oomkill.identity.metadata import ContainerMetadata
from container_oomkill.identity.resolver import Resolver
from container_oomkill.incident.container import NOT_FOUND, Container
from container_oomkill.kubernetes.access import Access
from container_oomkill.kubernetes.api import ANSWER_MAX, LINE_MAX, Api
from container_oomkill.kubernetes.watch import PodWatch
from container_oomkill.system.backoff import Backoff

from ..support.api_server import (
    LIST,
    NODE,
    OWNER,
    WATCH,
    Cluster,
    Fault,
    container,
    container_id,
    line,
    owner,
    pod,
    serving,
    uid,
)
from ..support.incidents import incident, victim
from ..support.logged import logged
from ..support.waiting import PATIENCE_SECONDS, eventually

CART = owner("ReplicaSet", "cart-7d9f4")
CART_PATH = "/apis/apps/v1/namespaces/shop/replicasets/cart-7d9f4"


class Started:
    """A cluster, its server and a watch of it."""

    def __init__(self, stack: ExitStack, log: list[str]) -> None:
        self._stack = stack
        self.cluster = Cluster()
        self.cluster.objects[CART_PATH] = {
            "metadata": {
                "uid": CART["uid"],
                "ownerReferences": [owner("Deployment", "cart")],
            }
        }
        self.log = log

    def watch(self, url: str | None = None, *, patience: float = PATIENCE_SECONDS) -> PodWatch:
        url = url or self._stack.enter_context(serving(self.cluster))
        api = Api(Access(url), patience=patience)
        backoff = Backoff(first=0.02, most=0.1)
        return self._stack.enter_context(PodWatch(api, NODE, backoff=backoff))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    with ExitStack() as stack:
        yield Started(stack, logged(monkeypatch))


def path(number: int = 1) -> str:
    return f"/kubepods/burstable/pod{uid(number)}/{container_id(number)}"


def named(watch: PodWatch, number: int = 1) -> Container:
    return Resolver(None, [watch]).container(path(number))


def known(watch: PodWatch, number: int = 1) -> Callable[[], bool]:
    return lambda: named(watch, number).name is not None


def test_pods_that_there_are_and_that_come(started: Started) -> None:
    started.cluster.put(pod(1, owner=CART))
    watch = started.watch()
    eventually(known(watch))
    assert named(watch) == Container(
        id=container_id(1),
        name="app",
        runtime="containerd",
        image="registry.example/shop/cart:1.2",
        pod="cart-7d9f4-1",
        namespace="shop",
        pod_uid=uid(1),
        workload="Deployment/cart",
        type="app",
        memory_request_bytes=0,  # there is nothing of it in its spec
    )
    assert not known(watch, 2)()
    started.cluster.put(pod(2, owner=CART))
    eventually(known(watch, 2))
    assert watch.is_up()
    assert len(started.cluster.requests(LIST)) == 1
    assert started.log == []
    [asked] = started.cluster.requests(OWNER)
    assert "PartialObjectMetadata" in asked.headers["Accept"]


def test_what_becomes_of_a_pod(started: Started) -> None:
    """A kill is told by it from others that come from the same runtime."""
    running = pod(1, owner=CART)
    started.cluster.put(running)
    watch = started.watch()
    eventually(known(watch))
    resolver = Resolver(None, [watch])

    def end() -> str | None:
        return resolver.pod_end(named(watch))

    assert end() == "stays"
    running["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    started.cluster.put(running)
    eventually(lambda: end() == "deleted")
    drained = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    running["status"]["conditions"] = [{"type": "Ready", "status": "False"}, drained]
    started.cluster.put(running)
    eventually(lambda: end() == "evicted")
    del running["status"]["conditions"], running["metadata"]["deletionTimestamp"]
    running["status"] |= {"phase": "Failed", "reason": "Evicted"}
    started.cluster.put(running)
    eventually(lambda: end() == "evicted")
    started.cluster.delete(uid(1))
    eventually(lambda: len(watch.pods) == 0)
    assert end() == "evicted"  # known for a while
    assert resolver.pod_end(Container()) is None
    assert Resolver().pod_end(named(watch)) is None


def test_a_packed_answer_is_not_unpacked(started: Started) -> None:
    """Nothing packed was asked for; 64 KiB of it may be 64 MiB."""
    bomb = gzip.compress(bytes(64 << 20))
    started.cluster.put(pod(1))
    started.cluster.faults = [Fault(LIST, headers={"Content-Encoding": "gzip"}, body=bomb)]
    watch = started.watch()
    tracemalloc.start()
    try:
        eventually(known(watch))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert any("watch pods of node" in each for each in started.log)


def test_an_answer_without_end_is_not_read_to_it(started: Started) -> None:
    started.cluster.put(pod(1))
    started.cluster.faults = [Fault(LIST, body=bytes(8 * ANSWER_MAX))]
    watch = started.watch()
    tracemalloc.start()
    try:
        eventually(known(watch))
        assert tracemalloc.get_traced_memory()[1] < 4 * ANSWER_MAX
    finally:
        tracemalloc.stop()
    assert "response larger than 16 MiB" in started.log[0]


def test_a_list_without_an_end_has_one(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_oomkill.kubernetes.watch.PAGES_MAX", 3)
    page = (
        b'{"kind": "PodList", "metadata": {"continue": "1", "resourceVersion": "1"}, "items": []}'
    )
    started.cluster.put(pod(1))
    started.cluster.faults = [Fault(LIST, body=page) for _ in range(3)]
    eventually(known(started.watch()))
    assert "no end after 3 pages" in started.log[0]


def test_more_pods_than_a_node_can_have(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("container_oomkill.kubernetes.pods.PODS_MAX", 2)
    for number in range(1, 4):
        started.cluster.put(pod(number))
    watch = started.watch()
    eventually(lambda: len(started.log) > 0)
    assert "more than 2 pods on one node" in started.log[0]
    eventually(known(watch, 2))
    assert len(watch.pods) == 2
    # What becomes of these goes on: a list each time would be late, and each would fail again.
    lists = len(started.cluster.requests(LIST))
    started.cluster.put(pod(1, owner=CART))
    eventually(lambda: named(watch).workload == "Deployment/cart")
    assert len(started.cluster.requests(LIST)) == lists


def test_a_gone_pod_keeps_its_name_but_not_its_series(started: Started) -> None:
    started.cluster.put(pod(1))
    watch = started.watch()
    eventually(known(watch))
    started.cluster.delete(uid(1))
    eventually(lambda: not watch.store.live())
    assert named(watch).pod == "cart-7d9f4-1"


def test_a_restarted_container_has_two_ids(started: Started) -> None:
    before = {"terminated": {"containerID": f"containerd://{container_id(7)}"}}
    restarted = pod(1, containerStatuses=[container("app", 1, lastState=before)])
    restarted["status"]["initContainerStatuses"] = [container("init", 8)]
    restarted["status"]["ephemeralContainerStatuses"] = [container("debug", 9)]
    started.cluster.put(restarted)
    watch = started.watch()
    eventually(known(watch))
    names = {each.id: each.name for each in watch.store.live()}
    assert names == {
        container_id(1): "app",
        container_id(7): "app",
        container_id(8): "init",
        container_id(9): "debug",
    }


def test_types_of_containers(started: Started) -> None:
    """By name, from the pod's spec: a container dies sooner than its status is told."""
    made = pod(1, containerStatuses=None)
    made["spec"] |= {
        "initContainers": [
            {"name": "migrate", "image": "cart"},
            {"name": "proxy", "image": "envoy", "restartPolicy": "Always"},
        ],
        "ephemeralContainers": [{"name": "debugger", "image": "busybox"}],
    }
    started.cluster.put(made)
    watch = started.watch()
    assert eventually(lambda: (one := named(watch)).pod and one).type is None
    types = {"app": "app", "migrate": "init", "proxy": "sidecar", "debugger": "ephemeral"}
    for name, type_ in (types | {"POD": None}).items():
        state = StateOf(ContainerMetadata(container_id(1), "containerd", name=name))
        found = Resolver(state, [watch]).container(path())
        assert (found.name, found.type) == (name, type_)


@pytest.mark.parametrize(
    ("more", "adj", "name"),
    [
        ({}, 1000, "app"),
        ({}, -998, None),  # it may be the sandbox
        ({}, None, None),
        ({"initContainers": [{"name": "migrate"}]}, 1000, None),
        ({"containers": []}, 1000, None),
    ],
)
def test_a_container_killed_before_the_api_tells_of_it_is_its_pods_only_one(
    started: Started, more: dict[str, object], adj: int | None, name: str | None
) -> None:
    made = pod(1, containerStatuses=None)
    made["spec"] |= more
    started.cluster.put(made)
    watch = started.watch()
    eventually(lambda: named(watch).pod)
    killed = incident(1, victims=(victim(cgroup=path(), oom_score_adj=adj),))
    found = Resolver(None, [watch]).resolve(killed).container
    assert (found.name, found.pod) == (name, "cart-7d9f4-1")
    assert found.unresolved == (None if name else NOT_FOUND)


class StateOf:
    """A runtime's state of one container."""

    def __init__(self, known: ContainerMetadata) -> None:
        self._known = known

    def lookup(self, _container_id: str, _owner: int = 0) -> ContainerMetadata:
        return self._known


def test_a_container_that_the_api_does_not_tell_of_yet_has_its_pods_names(
    started: Started,
) -> None:
    started.cluster.put(pod(1, containerStatuses=None))
    watch = started.watch()
    found = eventually(lambda: (one := named(watch)).pod and one)
    assert (found.pod, found.namespace, found.workload) == (
        "cart-7d9f4-1",
        "shop",
        "Pod/" + found.pod,
    )
    assert (found.id, found.name, found.unresolved) == (container_id(1), None, "not_found")


@pytest.mark.parametrize(
    ("direct", "above", "workload"),
    [
        (CART, None, "Deployment/cart"),
        (owner("StatefulSet", "db"), None, "StatefulSet/db"),
        (owner("DaemonSet", "log"), None, "DaemonSet/log"),
        (owner("Node", NODE, "v1"), None, f"Node/{NODE}"),
        (owner("Job", "once", "batch/v1"), [], "Job/once"),
        (
            owner("Job", "report-29", "batch/v1"),
            [owner("CronJob", "report", "batch/v1")],
            "CronJob/report",
        ),
        (owner("ReplicaSet", "gone"), None, "ReplicaSet/gone"),
        (
            owner("ReplicaSet", "canary-5f"),
            [owner("Rollout", "canary", "argoproj.io/v1alpha1")],
            "Rollout/canary",
        ),
        (owner("ReplicaSet", "odd", "example.org/v1"), None, "ReplicaSet/odd"),
    ],
)
def test_workloads(started: Started, direct: dict[str, str], above: object, workload: str) -> None:
    if above is not None:
        group, plural = direct["apiVersion"], direct["kind"].lower() + "s"
        there = f"/apis/{group}/namespaces/shop/{plural}/{direct['name']}"
        metadata = {"uid": direct["uid"], "ownerReferences": above}
        started.cluster.objects[there] = {"metadata": metadata}
    started.cluster.put(pod(1, owner=direct))
    watch = started.watch()
    eventually(known(watch))
    assert named(watch).workload == workload
    assert started.log == []


def test_without_the_right_to_read_owners_pods_are_still_named(started: Started) -> None:
    started.cluster.faults.append(Fault(OWNER, 403, message="replicasets is forbidden"))
    started.cluster.put(pod(1, owner=CART))
    started.cluster.put(pod(2, owner=CART))
    watch = started.watch()
    eventually(known(watch, 2))
    assert named(watch, 1).workload == "ReplicaSet/cart-7d9f4"
    assert len(started.cluster.requests(OWNER)) == 1
    assert "replicasets is forbidden" in started.log[0]


def test_an_owner_that_could_not_be_read_is_asked_for_again(started: Started) -> None:
    """Its pod may never change: by another list, once a watch has ended."""
    ends = Fault(WATCH, slow=0.1, lines=(line("BOOKMARK", pod(1)),))
    started.cluster.faults += [Fault(OWNER, 504, message="too slow"), *[ends] * 100]
    started.cluster.put(pod(1, owner=CART))
    watch = started.watch()
    eventually(lambda: named(watch).workload == "Deployment/cart")
    assert "too slow: using ReplicaSet/cart-7d9f4" in started.log[0]


def test_what_is_forbidden_is_not_listed_for_again(started: Started) -> None:
    ends = Fault(WATCH, lines=(line("BOOKMARK", pod(1)),))
    started.cluster.faults += [Fault(OWNER, 403, message="forbidden"), ends, ends]
    started.cluster.put(pod(1, owner=CART))
    watch = started.watch()
    eventually(lambda: len(started.cluster.requests(WATCH)) == 3)
    assert len(started.cluster.requests(LIST)) == 1
    assert named(watch).workload == "ReplicaSet/cart-7d9f4"


def test_a_static_pod_has_the_kubelets_uid_in_its_cgroup(started: Started) -> None:
    static = "6f3c" * 8
    notes = {"kubernetes.io/config.hash": static, "kubernetes.io/config.mirror": static}
    started.cluster.put(pod(1, owner=owner("Node", NODE, "v1"), metadata={"annotations": notes}))
    started.cluster.put(pod(2, metadata={"annotations": {"kubernetes.io/config.hash": uid(3)}}))
    started.cluster.put(pod(3, containerStatuses=[]))
    watch = started.watch()
    eventually(known(watch, 2))
    resolver = Resolver(None, [watch])
    found = resolver.container(f"/kubepods/burstable/pod{static}/{container_id(1)}")
    assert (found.name, found.pod, found.pod_uid) == ("app", "cart-7d9f4-1", static)
    # what its author wrote into an annotation makes no pod another one
    assert resolver.container(path(3)).pod == "cart-7d9f4-3"


def test_pages(started: Started) -> None:
    started.cluster.page_size = 7
    for number in range(20):
        started.cluster.put(pod(number))
    watch = started.watch()
    eventually(watch.is_up)
    assert len(watch.pods) == 20
    versions = [each.fields.get("resourceVersion") for each in started.cluster.requests(LIST)]
    assert versions == ["0", None, None]


def test_a_forgotten_version_is_listed_again(started: Started) -> None:
    """And not from the API's memory, which may be what is behind; who went meanwhile is gone."""
    started.cluster.put(pod(1))
    started.cluster.put(pod(2))
    answer = threading.Event()
    started.cluster.faults.append(Fault(WATCH, after=answer, lines=(b"\n",)))
    watch = started.watch()
    eventually(lambda: len(watch.pods) == 2)
    started.cluster.delete(uid(1))
    started.cluster.put(pod(3))
    started.cluster.forget()
    answer.set()
    eventually(known(watch, 3))
    assert len(watch.pods) == 2
    assert {each.id for each in watch.store.live()} == {container_id(2), container_id(3)}
    [_, second] = started.cluster.requests(LIST)
    assert "resourceVersion" not in second.fields


def test_an_expired_version_in_the_watch_is_listed_again(started: Started) -> None:
    started.cluster.put(pod(1))
    started.cluster.put(pod(2))
    expired = line("ERROR", {"code": 410, "message": "too old resource version"})
    started.cluster.faults.append(Fault(WATCH, lines=(expired,)))
    watch = started.watch()
    eventually(lambda: len(started.cluster.requests(LIST)) == 2)
    eventually(watch.is_up)
    assert len(watch.pods) == 2


def test_a_watch_goes_on_where_it_ended(started: Started) -> None:
    """From the bookmark, the newest version that the API has told."""
    started.cluster.put(pod(1))
    bookmark = {"kind": "Pod", "metadata": {"resourceVersion": "1003"}}
    change = pod(2, metadata={"resourceVersion": "1002"})
    started.cluster.faults.append(
        Fault(WATCH, lines=(line("ADDED", change), line("BOOKMARK", bookmark)))
    )
    watch = started.watch()
    eventually(lambda: len(started.cluster.requests(WATCH)) == 2)
    assert started.cluster.requests(WATCH)[1].fields["resourceVersion"] == "1003"
    assert known(watch, 2)()
    assert len(started.cluster.requests(LIST)) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(LIST, 500, message="etcdserver: request timed out"), "500 etcdserver"),
        (
            Fault(LIST, 403, message="pods is forbidden"),
            "403 pods is forbidden: bind a ClusterRole",
        ),
        (Fault(LIST, 401, message="Unauthorized"), "401 Unauthorized: the token"),
        (Fault(LIST, cut=True), "node-1: "),
        (Fault(LIST, slow=600), "timed out"),
        (Fault(LIST, body=b"<html>"), "unexpected response"),
        (Fault(LIST, body=b"[" * 100_000), "unexpected response"),
        (Fault(LIST, 302, headers={"Location": "/x"}), "302"),
        (Fault(WATCH, 500, message="a\nb\x1b"), "500 a\\x0ab\\x1b"),
        (Fault(WATCH, cut=True), "node-1: "),
        (Fault(WATCH, lines=(b"{\n",)), "unexpected response"),
        (Fault(WATCH, lines=(line("ERROR", {"code": 500, "message": "busy"}),)), "busy"),
    ],
)
def test_faults_are_one_line_and_passed(started: Started, fault: Fault, words: str) -> None:
    started.cluster.put(pod(1))
    started.cluster.faults.append(fault)
    watch = started.watch(patience=2 if fault.slow else PATIENCE_SECONDS)
    eventually(known(watch))
    eventually(lambda: len(started.log) == 2)
    assert words in started.log[0]
    assert started.log[1] == "container-oomkill: kubernetes: watching 1 pods"
    assert all("\n" not in each for each in started.log)


def test_it_waits_as_long_as_it_is_told(started: Started) -> None:
    """Retry-After is the least; two refusals are one line."""
    refusal = {"code": 429, "headers": {"Retry-After": "1"}, "message": "too many requests"}
    started.cluster.faults += [Fault(LIST, **refusal), Fault(LIST, **refusal)]  # type: ignore[arg-type]
    started.cluster.put(pod(1))
    watch = started.watch()
    eventually(known(watch))
    assert len(started.cluster.requests(LIST)) == 3
    assert len([each for each in started.log if "429 too many requests" in each]) == 1


def test_odd_and_huge_pods_are_skipped(started: Started) -> None:
    huge = line("ADDED", pod(2, message="x" * (LINE_MAX + (1 << 17))))
    odd = line("ADDED", {"metadata": {"name": 5}})
    weird = pod(4)
    weird["metadata"]["name"] = "a\nb"
    strange = line("NEWS", pod(5)), line("ADDED", weird), line("ADDED", pod(3))
    started.cluster.faults.append(Fault(WATCH, lines=(huge, odd, *strange)))
    watch = started.watch()
    eventually(known(watch, 3))
    assert not known(watch, 2)()
    assert not known(watch, 5)()
    assert named(watch, 4).pod is None
    assert any("skipped a pod: larger than 4 MiB" in each for each in started.log)
    assert any("skipped a pod: " in each for each in started.log)


@pytest.mark.parametrize("odd", ["", "a\nb", "\u202e", "x" * 5000])
def test_a_uid_that_can_be_none_is_unknown(started: Started, odd: str) -> None:
    """As every other name; found by `make fuzz`."""
    started.cluster.put(pod(1, metadata={"uid": odd}))
    watch = started.watch()
    (known_pod,) = eventually(watch.store.live)
    assert known_pod.pod_uid is None
    assert known_pod.pod == "cart-7d9f4-1"


def test_down_at_the_start_then_up_then_down(started: Started) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    watch = started.watch(f"http://127.0.0.1:{port}")
    eventually(lambda: started.log)
    assert "connection refused" in started.log[0]
    assert not watch.is_up()
    started.cluster.put(pod(1))
    with serving(started.cluster, port):
        eventually(known(watch))
        eventually(watch.is_up)
    eventually(lambda: not watch.is_up())
    assert named(watch).name == "app"


def test_it_ends_while_it_waits_for_a_slow_answer(started: Started) -> None:
    started.cluster.put(pod(1))
    watch = started.watch()
    eventually(watch.is_up)
    watch.close()
    assert not watch.worker.running
