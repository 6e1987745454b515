# SPDX-License-Identifier: Apache-2.0
"""Kinds of pods, each killed for real: what Kubernetes tells of it, and what we do."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.api import Object
from ..support.cluster.cluster import Cluster
from ..support.cluster.control_plane import NODE
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import ACCOUNT, Exporter, overlay
from ..support.cluster.pods import FAILING_PROBE, NAMESPACE, stubborn
from ..support.cluster.settings import GUEST
from ..support.cluster.status import container_id, end_of, kill_events, last_end
from ..support.kernel.cgroups import MIB, is_v1
from ..support.manifests import one
from ..support.runtimes.image import IMAGE
from .guests import KINDS_AT_ONCE
from .kinds import KINDS, Kind

HERE = [each for each in KINDS if each.only in ("", "v1" if is_v1() else "v2")]
AT_ONCE = KINDS_AT_ONCE if GUEST in os.environ else len(HERE)

# By module: all tests of a kind come one after the other, and then it may go.
of_each_kind = pytest.mark.parametrize("kind", HERE, ids=str, scope="module")


class Kills:
    """The kinds, some of them at once; a record is waited for when it is asked for."""

    def __init__(self, cluster: Cluster, daemon_set: Exporter, kinds: list[Kind]) -> None:
        self.cluster = cluster
        self.daemon_set = daemon_set
        self._groups = [kinds[at : at + AT_ONCE] for at in range(0, len(kinds), AT_ONCE)]
        self._running: list[Kind] = []
        self._started = 0.0
        self._records: dict[str, Object] = {}
        self._pods: dict[str, Object] = {}

    def end(self) -> None:
        provoke.undo(self.cluster)
        self.cluster.kubectl.delete([made for each in self._running for made in each.objects])

    def _start(self, kinds: list[Kind]) -> None:
        self.end()
        self._running, self._started = kinds, time.monotonic()
        self.cluster.kubectl.apply([made for each in kinds for made in each.objects])
        for each in kinds:
            each.provoke(self.cluster, each.pod)

    def record(self, kind: Kind) -> Object:
        if kind not in self._running:
            self._start(next(each for each in self._groups if kind in each))
        if kind.name not in self._records:
            wait_for(lambda: len(self._of(kind)) >= kind.kill, f"{kind.name}: no record")
            self._records[kind.name] = record = self._of(kind)[kind.kill - 1]
            path = f"{provoke.PODS}/{record['container']['pod']}"
            self._pods[kind.name] = self.cluster.api.get(path)
            self._say(kind, record)
        return self._records[kind.name]

    def pod(self, kind: Kind) -> Object:
        """As the API had it once the record was there."""
        self.record(kind)
        return self._pods[kind.name]

    def _of(self, kind: Kind) -> list[Object]:
        found = [
            each
            for each in self.daemon_set.incidents()
            if each["container"]["namespace"] == NAMESPACE
            and (each["container"]["pod"] or "").startswith(kind.pod)
            and each["container"]["name"] == kind.container
        ]
        return sorted(found, key=lambda each: int(each["boot_ns"]))

    def _say(self, kind: Kind, record: Object) -> None:
        took = time.monotonic() - self._started
        table.add("kills: our verdict", kind.name, record["verdict"], took)


@pytest.fixture(scope="module")
def kills(
    request: pytest.FixtureRequest, cluster: Cluster, daemon_set: Exporter
) -> Iterator[Kills]:
    """Of the kinds that were chosen (-k), and no others."""
    chosen = [
        item.callspec.params.get("kind")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    started = Kills(cluster, daemon_set, [each for each in HERE if each in chosen])
    yield started
    started.end()


def requested(pod: Object, name: str) -> int | None:
    """Bytes of memory that the pod's own specification asks for, for this container; 0: none.

    None: an ephemeral container's, which cannot have any, or where the pod asks for all of them.
    """
    spec = pod["spec"]
    every = (*spec["containers"], *spec.get("initContainers", ()))
    found = [asked_for(each) for each in every if each["name"] == name]
    if found == [None]:
        return 0 if asked_for(spec) is None else None
    return found[0] if found else None


def asked_for(it: Object) -> int | None:
    """Bytes of memory that a container, or a pod's specification, has as its request."""
    memory: str | None = it.get("resources", {}).get("requests", {}).get("memory")
    return None if memory is None else int(memory.removesuffix("Mi")) * MIB


@of_each_kind
def test_names(kind: Kind, kills: Kills) -> None:
    record, pod = kills.record(kind), kills.pod(kind)
    # Of a static pod the kubelet knows another one than the API, which tells it: so do cgroups.
    uid = pod["metadata"].get("annotations", {}).get("kubernetes.io/config.mirror")
    found = dict(record["container"])
    assert re.fullmatch("[0-9a-f]{64}", found.pop("id"))
    assert found == {
        "name": kind.container,
        "runtime": "containerd",
        "image": IMAGE,
        "pod": pod["metadata"]["name"],
        "namespace": NAMESPACE,
        "pod_uid": uid or pod["metadata"]["uid"],
        "workload": kind.workload,
        "type": kind.type,
        "memory_request_bytes": requested(pod, kind.container),
        "service": None,
        "unresolved": None,
    }
    assert record["node"] == NODE
    assert record["domain"]["limit_bytes"] == kind.limit_mib * MIB


@of_each_kind
def test_scope(kind: Kind, kills: Kills) -> None:
    assert kills.record(kind)["scope"] == kind.scope


@of_each_kind
def test_verdict(kind: Kind, kills: Kills) -> None:
    verdict = kills.record(kind)["verdict"]
    for words in kind.says:
        assert re.search(words, verdict)
    for words in kind.says_not:
        assert not re.search(words, verdict)


@of_each_kind
def test_event(kind: Kind, kills: Kills) -> None:
    """It is on the right pod and container, and `kubectl describe` shows it."""
    record = kills.record(kind)
    pod = record["container"]["pod"]
    wait_for(lambda: of_containers(kills.cluster, pod), f"{kind.name}: no Event")
    (event,) = of_containers(kills.cluster, pod)
    about = event["involvedObject"]
    assert (about["name"], about["uid"]) == (pod, record["container"]["pod_uid"])
    assert event["source"] == {"component": "container-oomkill", "host": NODE}
    assert event["count"] >= 1
    owner, _, name = kind.workload.partition("/")
    related = {"kind": owner, "name": name}
    if owner != "Node":
        related["namespace"] = NAMESPACE
    assert event.get("related") == (None if owner == "Pod" else related)
    assert about["fieldPath"] == kind.field_path
    described = described_with_its_event(kills.cluster, pod)
    # For people to read, and for docs/kubernetes.md.
    (kills.cluster.plane.audit_log.parent / f"describe-{kind}.txt").write_text(described)


def of_containers(cluster: Cluster, pod: str) -> list[Object]:
    """The Events of a pod's containers; its sandbox is in the full cgroup too, and may die first.

    Seen on cgroup v1: what an emptyDir holds stays after the container's end, and the kernel takes
    the one that is left.
    """
    found = kill_events(cluster.api, pod)
    return [each for each in found if "fieldPath" in each["involvedObject"]]


def described_with_its_event(cluster: Cluster, pod: str) -> str:
    """What kubectl describes, once it has the Event as it is: another kill changes its message."""
    found: list[str] = []

    def is_shown() -> bool:
        (event,) = of_containers(cluster, pod)
        found[:] = [cluster.kubectl.describe(NAMESPACE, pod)]
        shown = [line for line in found[0].splitlines() if "OOMKilling" in line]
        message = " ".join(event["message"].split())
        return sum(message in " ".join(line.split()) for line in shown) == 1

    wait_for(is_shown, f"kubectl describe pod {pod} does not show its Event")
    return found[0]


@of_each_kind
def test_metrics(kind: Kind, kills: Kills) -> None:
    record = kills.record(kind)
    pod = record["container"]["pod"]
    owner, _, workload = kind.workload.partition("/")
    # A pod that is replaced and never restarted is counted as what replaces it.
    counted = workload if owner in ("Job", "CronJob") else pod
    whose = {"namespace": NAMESPACE, "pod": counted, "container": kind.container}
    daemon_set = kills.daemon_set
    assert daemon_set.value("container_oomkill_incidents_total", **whose) >= kind.kill
    assert daemon_set.value("container_oomkill_total", **whose) >= len(record["victims"])
    ((info, _),) = daemon_set.samples("container_oomkill_last_info", **whose)
    assert (info["workload"], info["image"]) == (kind.workload, IMAGE)
    assert (info["pod_name"], info["container_name"]) == (pod, kind.container)
    limit = daemon_set.value("container_oomkill_memory_limit_bytes", **whose)
    assert limit == kind.limit_mib * MIB


@of_each_kind
def test_priority(kind: Kind, kills: Kills) -> None:
    """By its QoS class; below what we have ourselves only where the node may give it."""
    if kind.oom_score_adj is None:
        return
    ours = int(Path("/proc/self/oom_score_adj").read_text())
    (victim, *_) = kills.record(kind)["victims"]
    assert victim["oom_score_adj"] == max(ours, kind.oom_score_adj)


@of_each_kind
def test_what_kubernetes_tells(kind: Kind, kills: Kills) -> None:
    """Of a kill it is this, and not a word more: reason and exit code of the container's end."""
    record = kills.record(kind)
    path = f"{provoke.PODS}/{record['container']['pod']}"
    wanted = kind.status if is_v1() or kind.status_v2 is None else kind.status_v2
    api = kills.cluster.api
    if wanted != "nothing":
        wait_for(lambda: end_of(api.get(path), kind.container) != "nothing", f"{kind.name}: no end")
    pod = api.get(path)
    told = end_of(pod, kind.container)
    table.add("kills: what Kubernetes says of the container's end", kind.name, told)
    if (wanted, told) == ("OOMKilled 137", "Error 137"):
        end = last_end(pod, kind.container)
        assert_not_told_in_time(kills.cluster, end)
    else:
        assert told == wanted


def assert_not_told_in_time(cluster: Cluster, end: Object) -> None:
    """The two reasons for another word than OOMKilled, by containerd's own log.

    It takes the word of its shim, which watches a cgroup once it has started the container in it: a
    kill before that is told to nobody. And it handles a container's end and the shim's word each by
    itself, while the kubelet reads the reason only when it sees that the state has changed: of one
    that comes later it never learns.
    """
    identifier = container_id(end)
    finished = end["finishedAt"].rstrip("Z")  # to the second
    started = cluster.node.started(identifier)[: len(finished)]
    told = [each[: len(finished)] for each in cluster.node.oom_events(identifier)]
    words = f"told at {told[-1]}, after the end" if told else f"ended before the start at {started}"
    table.add("kills: OOMKilled that Kubernetes was not told of", f"end at {finished}", words)
    assert told[-1] >= finished if told else finished <= started


def test_rights(kills: Kills) -> None:
    """The ClusterRole grants what was asked, and nothing more."""
    role = one(overlay("kubernetes"), "ClusterRole")
    granted = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

    def asked() -> list[Object]:
        return kills.cluster.plane.audited(ACCOUNT)[kills.daemon_set.asked_before :]

    def used() -> set[tuple[str, ...]]:
        found = [(each["objectRef"], each["verb"]) for each in asked()]
        return {(about.get("apiGroup", ""), about["resource"], verb) for about, verb in found}

    unhealthy = stubborn("unhealthy", livenessProbe=FAILING_PROBE)
    kills.cluster.kubectl.apply([unhealthy])
    wait_for(lambda: ("", "events", "list") in used(), "no Events were read")
    kills.cluster.kubectl.delete([unhealthy])
    # The last to come: a container that is killed again has its Event's count raised.
    wait_for(lambda: ("", "events", "patch") in used(), "no Event was changed")
    assert used() == granted
    assert {each["responseStatus"]["code"] for each in asked()} <= {200, 201}
    words = ", ".join(sorted(" ".join(filter(None, each)) for each in granted))
    table.add("rights", "granted and used, by the audit log", words)
