# SPDX-License-Identifier: Apache-2.0
"""containerd's containers, by ctr and as a kubelet runs them, killed for real."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support import api_server
from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.processes import Recorder
from ..support.runtimes.containerd import Containerd
from ..support.runtimes.cri import Cri, Pod, pod_cgroup
from ..support.runtimes.image import IMAGE
from ..support.runtimes.running import busy, record_of
from ..support.waiting import eventually

UID = "5b3f1c9e-7a42-4c0d-9e61-0f2d8a7b6c55"
POD = Pod("shop", "cart-7d9f4", UID, f"/kubepods/burstable/pod{UID}")
LIMIT_MIB = 32
StartRecorder = Callable[..., Recorder]
KUBECONFIG = """\
current-context: here
contexts: [{{name: here, context: {{cluster: here}}}}]
clusters: [{{name: here, cluster: {{server: "{url}"}}}}]
"""


@pytest.fixture
def containerd(session_containerd: Containerd) -> Containerd:
    return session_containerd


@pytest.fixture
def cri(containerd: Containerd, tmp_path: Path) -> Iterator[Cri]:
    service = Cri(containerd.socket, tmp_path)
    with contextlib.closing(service):
        assert service.version().startswith("containerd ")
        yield service


@pytest.fixture
def pod(cri: Cri) -> Iterator[Cgroup]:
    """The cgroup of `POD`, without a limit yet; what runs in it goes first."""
    with pod_cgroup(POD.cgroup) as cgroup:
        yield cgroup
        cri.remove_all()


def check(
    record: dict[str, Any], container_id: str, name: str, workload: str | None = None
) -> None:
    assert record["container"] == {
        "id": container_id,
        "name": name,
        "runtime": "containerd",
        "image": IMAGE,
        "pod": POD.name,
        "namespace": POD.namespace,
        "pod_uid": POD.uid,
        "workload": workload,
        "type": "app" if workload else None,  # this and the next are the API's
        "service": None,
        "memory_request_bytes": 0 if workload else None,
        "unresolved": None,
    }


def test_an_id_that_is_not_hexadecimal(
    containerd: Containerd, start_recorder: StartRecorder
) -> None:
    """ctr's names are its ids, and all there is: it keeps no image in the bundle."""
    recorder = start_recorder(*containerd.options)
    limit = f"--memory-limit={LIMIT_MIB * MIB}"
    started = containerd.run("web-1", "name greedy anon 64", "--rm", limit)
    assert started.status() == 137
    seen = record_of(recorder, "web-1")
    assert seen["container"]["name"] == "web-1"
    assert seen["container"]["runtime"] == "containerd"
    assert seen["container"]["pod"] is None
    assert seen["scope"] == "container"
    assert seen["domain"]["limit_bytes"] == LIMIT_MIB * MIB


def test_a_container_by_its_own_limit(
    containerd: Containerd, cri: Cri, pod: Cgroup, start_recorder: StartRecorder
) -> None:
    recorder = start_recorder(*containerd.options)
    container_id = cri.run(cri.run_pod(POD), "app", "name greedy anon 64", LIMIT_MIB)
    status = cri.ended(container_id)
    assert (status.reason, status.exit_code) == ("OOMKilled", 137)
    seen = record_of(recorder, container_id)
    check(seen, container_id, status.metadata.name)
    assert seen["scope"] == "container"
    assert seen["domain"]["limit_bytes"] == LIMIT_MIB * MIB
    assert seen["domain"]["cgroup"] == f"{pod.path}/{container_id}"


def test_a_container_by_its_pods_limit(
    containerd: Containerd, cri: Cri, pod: Cgroup, start_recorder: StartRecorder
) -> None:
    """The victim's container, not the pod's cgroup; its neighbour lives on."""
    pod.limit(LIMIT_MIB)
    recorder = start_recorder(*containerd.options)
    sandbox = cri.run_pod(POD)
    cri.run(sandbox, "sidecar", "anon 4 wait", None)
    container_id = cri.run(sandbox, "app", "name greedy anon 64", None)
    assert cri.ended(container_id).exit_code == 137
    seen = record_of(recorder, container_id)
    check(seen, container_id, "app")
    assert seen["scope"] == "pod"
    assert seen["domain"]["cgroup"] == pod.path
    assert seen["domain"]["limit_bytes"] == LIMIT_MIB * MIB
    assert seen["victims"][0]["cgroup"] == f"{pod.path}/{container_id}"


def test_a_child_of_its_first_process(
    containerd: Containerd, cri: Cri, pod: Cgroup, start_recorder: StartRecorder
) -> None:
    assert pod.path == POD.cgroup
    recorder = start_recorder(*containerd.options)
    script = "name first fork name second anon 64"
    container_id = cri.run(cri.run_pod(POD), "app", script, LIMIT_MIB)
    cri.ended(container_id)
    seen = record_of(recorder, container_id)
    check(seen, container_id, "app")
    assert seen["victims"][0]["command"] == "second"


def test_by_the_clusters_api_alone(
    cri: Cri, pod: Cgroup, start_recorder: StartRecorder, tmp_path: Path
) -> None:
    """No state is mounted: the names are the API's, and the pod has its Event."""
    assert pod.path == POD.cgroup
    cluster = api_server.Cluster()
    names = {"name": POD.name, "namespace": POD.namespace, "uid": POD.uid}
    owner = api_server.owner("StatefulSet", "cart")

    def tell(container_id: str) -> None:
        status = api_server.container("app", 1, image=IMAGE)
        status["containerID"] = f"containerd://{container_id}"
        cluster.put(api_server.pod(owner=owner, metadata=names, containerStatuses=[status]))
        time.sleep(0.5)  # it is known by now

    with api_server.serving(cluster) as url:
        config = tmp_path / "kubeconfig"
        config.write_text(KUBECONFIG.format(url=url))
        options = [f"--kubernetes.node={api_server.NODE}", f"--kubeconfig={config}"]
        options += ["--kubernetes", "--kubernetes.events", f"--state.containerd={tmp_path}"]
        recorder = start_recorder(*options)
        eventually(lambda: cluster.requests(api_server.WATCH))
        sandbox = cri.run_pod(POD)
        container_id = cri.run(sandbox, "app", "name greedy anon 64", LIMIT_MIB, tell)
        assert cri.ended(container_id).exit_code == 137
        seen = record_of(recorder, container_id)
        check(seen, container_id, "app", workload="StatefulSet/cart")
        [event] = eventually(cluster.events)
    assert event["involvedObject"]["uid"] == POD.uid
    assert event["involvedObject"]["fieldPath"] == "spec.containers{app}"
    assert event["message"] == seen["verdict"]


def test_removed_at_once_with_the_machine_busy(
    containerd: Containerd, cri: Cri, pod: Cgroup, start_recorder: StartRecorder
) -> None:
    assert pod.path == POD.cgroup
    recorder = start_recorder(*containerd.options)
    sandbox = cri.run_pod(POD)
    with busy(2):
        for number in range(20):
            container_id = cri.run(sandbox, f"app-{number}", "anon 64", LIMIT_MIB)
            assert cri.ended(container_id).exit_code == 137
            cri.remove(container_id)
            check(record_of(recorder, container_id), container_id, f"app-{number}")
    print("CRI, removed at once, machine busy: 20 of 20 named right")
