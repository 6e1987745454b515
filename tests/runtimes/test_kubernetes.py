# SPDX-License-Identifier: Apache-2.0
"""The exporter as the pod that deploy/kubernetes makes of it, beside pods that are killed.

A real containerd runs all of them, asked as a kubelet asks: sandboxes, containers, labels, cgroup
parents, and the very rights and mounts of the manifest.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ..support import api_server
from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.processes import DEADLINE
from ..support.manifests import kustomized, pod
from ..support.runtimes.containerd import Containerd
from ..support.runtimes.cri import Cri, Pod, pod_cgroup
from ..support.runtimes.exporter_pod import NODE, exporter_container
from ..support.runtimes.image import IMAGE
from ..support.runtimes.running import output
from ..support.waiting import eventually

UID = "1c0f2a4e-93b7-4f55-8f0e-6a7d0b9e2c31"
KILLED = Pod("shop", "cart-7d9f4", UID, f"/kubepods/burstable/pod{UID}")
OWN_UID = "77d1d5a2-0a5c-4a7e-9d2c-3f1f5b6c8e90"
OWN = Pod("container-oomkill", "container-oomkill-x7k2p", OWN_UID, f"/kubepods/pod{OWN_UID}")
LIMIT_MIB = 32
TOKEN = "a-service-account's"
STATE = "io.containerd.runtime.v2.task"


@dataclass
class Exporter:
    """The pod, from the node; and the cluster, which it asks in one of the overlays."""

    address: str
    log: Path
    cluster: api_server.Cluster
    asks: bool

    def expect(self, container_id: str) -> None:
        """What the kubelet tells the API of a container."""
        status = api_server.container("app", 1, image=IMAGE)
        status["containerID"] = f"containerd://{container_id}"
        names = {"name": KILLED.name, "namespace": KILLED.namespace, "uid": KILLED.uid}
        owner = api_server.owner("ReplicaSet", "cart-7d9f4")
        self.cluster.put(api_server.pod(owner=owner, metadata=names, containerStatuses=[status]))
        time.sleep(0.5)  # it is known by now

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=DEADLINE) as answer:
            text: str = answer.read().decode()
        return text

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, urllib.error.HTTPError):
            return self.get("/readyz") == "ready\n"
        return False

    def samples(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Labels and values of the series that have these labels, maybe others too."""
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def record_of(self, container_id: str) -> dict[str, Any]:
        """Wait for a container's record."""
        found: list[dict[str, Any]] = []

        def come() -> bool:
            incidents = json.loads(self.get("/api/v1/incidents"))["incidents"]
            found[:] = [each for each in incidents if each["container"]["id"] == container_id]
            return bool(found)

        eventually(come)
        (record,) = found
        return record


@pytest.fixture
def cri(session_containerd: Containerd, tmp_path: Path) -> Iterator[Cri]:
    service = Cri(session_containerd.socket, tmp_path)
    with contextlib.closing(service):
        yield service


@pytest.fixture
def killed(cri: Cri) -> Iterator[Cgroup]:
    """The cgroup of the pod that is to be killed, without a limit yet."""
    with pod_cgroup(KILLED.cgroup) as cgroup:
        yield cgroup
        cri.remove_all()


@pytest.fixture
def node_folder(session_containerd: Containerd) -> Iterator[Path]:
    """containerd's state, on a mount that is shared as everything is on a node under systemd."""
    folder = session_containerd.folder / "state" / STATE
    output("mount", "--bind", str(folder), str(folder))
    try:
        output("mount", "--make-shared", str(folder))
        yield folder
    finally:
        output("umount", "--lazy", str(folder))


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the kubelet mounts of a service account; the API's key is beside it."""
    folder = tmp_path_factory.mktemp("account")
    (folder / "token").write_text(TOKEN)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key"), "-out", str(folder / "ca.crt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def api(account: Path) -> Iterator[tuple[api_server.Cluster, str]]:
    cluster = api_server.Cluster(NODE)
    cluster.token = TOKEN
    above = [api_server.owner("Deployment", "cart")]
    owner = api_server.owner("ReplicaSet", "cart-7d9f4")
    path = f"/apis/apps/v1/namespaces/{KILLED.namespace}/replicasets/{owner['name']}"
    cluster.objects[path] = {"metadata": {"uid": owner["uid"], "ownerReferences": above}}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(account / "ca.crt", account / "key")
    with api_server.serving(cluster, context=context) as url:
        yield cluster, url


@pytest.fixture(params=["standard", "kubernetes"])
def exporter(
    request: pytest.FixtureRequest,
    cri: Cri,
    killed: Cgroup,
    node_folder: Path,
    account: Path,
    api: tuple[api_server.Cluster, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Exporter]:
    """An overlay, in a pod of its own."""
    assert killed.path == KILLED.cgroup  # its pods go before this one's cgroup does
    cluster, url = api
    asks = request.param == "kubernetes"
    manifests = kustomized(request.param)
    empty = tmp_path_factory.mktemp("no-runtime")
    output("mount", "--bind", str(empty), str(empty))
    output("mount", "--make-shared", str(empty))
    folders = {each["name"]: empty for each in pod(manifests)["volumes"]}
    folders["containerd"] = node_folder
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    try:
        with pod_cgroup(OWN.cgroup):
            sandbox = cri.run_pod(OWN)
            cri.start(sandbox, exporter_container(manifests, folders, port, (url, account)))
            log = Path(sandbox.log_directory) / "exporter.log"
            started = Exporter(f"127.0.0.1:{port}", log, cluster, asks)
            try:
                eventually(started.is_ready)
                if asks:
                    eventually(lambda: cluster.requests(api_server.WATCH))
                yield started
            finally:
                print(started.log.read_text())  # pytest shows it of a test that fails
                cri.remove_all()
    finally:
        output("umount", "--lazy", str(empty))


def check(exporter: Exporter, container_id: str, scope: str) -> dict[str, Any]:
    """Hold record, metrics and Event of a kill against what the kubelet was told."""
    record = exporter.record_of(container_id)
    workload = "Deployment/cart" if exporter.asks else None
    assert record["node"] == NODE
    assert record["container"] == {
        "id": container_id,
        "name": "app",
        "runtime": "containerd",
        "image": IMAGE,
        "pod": KILLED.name,
        "namespace": KILLED.namespace,
        "pod_uid": KILLED.uid,
        "workload": workload,
        "service": None,
        "unresolved": None,
    }
    assert record["scope"] == scope
    assert record["domain"]["limit_bytes"] == LIMIT_MIB * MIB
    whose = {"namespace": KILLED.namespace, "pod": KILLED.name, "container": "app"}
    for name in ("container_oomkill_total", "container_oomkill_incidents_total"):
        counted = {
            labels["scope"]: value for labels, value in exporter.samples(name, **whose) if value
        }
        assert counted == {scope: 1}
    ((info, _),) = exporter.samples("container_oomkill_last_info", **whose)
    assert (info["container_id"], info["image"]) == (container_id, IMAGE)
    assert info["command"] == record["victims"][0]["command"]
    assert info["workload"] == (workload or "")
    check_event(exporter, record)
    return record


def check_event(exporter: Exporter, record: dict[str, Any]) -> None:
    cluster = exporter.cluster
    if not exporter.asks:
        assert cluster.asked == []
        return
    eventually(cluster.events)
    (event,) = cluster.events()
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": KILLED.namespace,
        "name": KILLED.name,
        "uid": KILLED.uid,
        "fieldPath": "spec.containers{app}",
    }
    related = {"kind": "Deployment", "name": "cart", "namespace": KILLED.namespace}
    assert event["related"] == related
    assert (event["reason"], event["message"]) == ("OOMKilling", record["verdict"])
    assert event["source"]["host"] == NODE


def test_a_container_by_its_own_limit(exporter: Exporter, cri: Cri, killed: Cgroup) -> None:
    sandbox, script = cri.run_pod(KILLED), "name greedy anon 64"
    container_id = cri.run(sandbox, "app", script, LIMIT_MIB, exporter.expect)
    assert cri.ended(container_id).reason == "OOMKilled"
    record = check(exporter, container_id, "container")
    assert record["domain"]["cgroup"] == f"{killed.path}/{container_id}"


def test_a_container_by_its_pods_limit(exporter: Exporter, cri: Cri, killed: Cgroup) -> None:
    killed.limit(LIMIT_MIB)
    sandbox = cri.run_pod(KILLED)
    cri.run(sandbox, "sidecar", "anon 4 wait", None)
    container_id = cri.run(sandbox, "app", "name greedy anon 64", None, exporter.expect)
    assert cri.ended(container_id).exit_code == 137
    record = check(exporter, container_id, "pod")
    assert record["domain"]["cgroup"] == killed.path
    sidecar = exporter.samples("container_oomkill_total", container="sidecar")
    assert {value for _, value in sidecar} == {0}  # known, and not killed


def test_a_child_of_its_first_process(exporter: Exporter, cri: Cri, killed: Cgroup) -> None:
    """Nobody else tells: the container may live on."""
    script = "name first fork name second anon 64"
    container_id = cri.run(cri.run_pod(KILLED), "app", script, LIMIT_MIB, exporter.expect)
    record = check(exporter, container_id, "container")
    assert record["victims"][0]["command"] == "second"
    assert record["victims"][0]["parent_command"] == "first"
    assert record["victims"][0]["cgroup"] == f"{killed.path}/{container_id}"
