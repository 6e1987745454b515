# SPDX-License-Identifier: Apache-2.0
"""A real API server that dies and comes back, and tokens that are renewed and revoked."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.api import Object
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import Exporter, Served
from ..support.cluster.pods import GREEDY, GREEDY_LATER, deployment, pod
from ..support.cluster.status import kill_events
from ..support.manifests import NAME

UP = "container_oomkill_kubernetes_watch_up"
ACCOUNT = f"/api/v1/namespaces/{NAME}/serviceaccounts/{NAME}"
JTI = "authentication.kubernetes.io/credential-id"


@pytest.fixture
def waiting(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[list[Path]]:
    """Pods that are killed when the file is made that belongs to each."""
    # Events are found by name, and stay when their pods are gone.
    base = request.function.__name__.rpartition("_")[2]
    pods = [pod(f"{base}-{number}", GREEDY_LATER) for number in range(2)]
    cluster.kubectl.apply(pods)
    uids = [provoke.running(cluster, each["metadata"]["name"])["metadata"]["uid"] for each in pods]
    yield [provoke.go_file(uid) for uid in uids]
    cluster.kubectl.delete(pods)


def test_an_api_server_that_is_killed(
    cluster: Cluster, daemon_set: Exporter, waiting: list[Path]
) -> None:
    """What is known stays known; the Event comes when the API does, and so do new names."""
    served = Served(daemon_set.address)
    server = cluster.plane.server
    wait_for(lambda: daemon_set.value(UP) == 1, "the watch is not up")
    server.kill()
    waiting[0].touch()
    wait_for(lambda: served.of("killed-0"), "no record while the API is away")
    (record,) = served.of("killed-0")
    assert record["container"]["workload"] == "Pod/killed-0"
    assert record["container"]["unresolved"] is None
    wait_for(lambda: served.value(UP) == 0, "the watch is up without an API")
    seconds = server.start(cluster.plane.is_ready)
    back = time.monotonic()
    wait_for(lambda: kill_events(cluster.api, "killed-0"), "no Event once the API was back")
    late = time.monotonic() - back
    wait_for(lambda: daemon_set.value(UP) == 1, "the watch did not come back")
    watched = time.monotonic() - back
    new = deployment("newcomer", GREEDY)
    cluster.kubectl.apply([new])
    try:
        wait_for(lambda: daemon_set.of("newcomer"), "no record of a new pod")
        assert daemon_set.of("newcomer")[0]["container"]["workload"] == "Deployment/newcomer"
    finally:
        cluster.kubectl.delete([new])
    table.add("faults", "API server killed: back", "ready again", seconds)
    table.add("faults", "API server killed: Event", "of the kill meanwhile, after that", late)
    table.add("faults", "API server killed: watch", "up again, after that", watched)


def test_a_token_that_is_renewed_and_revoked(
    cluster: Cluster, daemon_set: Exporter, waiting: list[Path]
) -> None:
    """The next request has the new one: nothing is held but the file's name."""
    node = cluster.node
    only = daemon_set.pod()
    node.kubelet.stop()  # it would put its own token back
    try:
        for number, go in enumerate(waiting):
            name = f"token-{number}"
            with bound_token(cluster, name) as (token, identifier):
                put(only["metadata"]["uid"], token)
                go.touch()
                wait_for(lambda: kill_events(cluster.api, f"revoked-{number}"), "no Event")  # noqa: B023
            asked = cluster.plane.audited(f"{NAME}:{NAME}")
            *_, made = [each for each in asked if each["verb"] == "create"]
            assert made["user"]["extra"][JTI] == [identifier]
            assert made["responseStatus"]["code"] == 201
    finally:
        node.configure()
    table.add("faults", "token renewed, the old one revoked", "the next request has the new one")


class bound_token:  # noqa: N801 - reads as the function it is
    """A token, and its id, for as long as a Secret exists: otherwise it could not be revoked."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._api = cluster.api
        self._secrets = f"/api/v1/namespaces/{NAME}/secrets"
        self._name = name

    def __enter__(self) -> tuple[str, str]:
        made = self._api("POST", self._secrets, {"metadata": {"name": self._name}})
        bound = {
            "kind": "Secret",
            "apiVersion": "v1",
            "name": self._name,
            "uid": made["metadata"]["uid"],
        }
        request = {"spec": {"boundObjectRef": bound, "expirationSeconds": 600}}
        token = self._api("POST", f"{ACCOUNT}/token", request)["status"]["token"]
        return token, f"JTI={claims(token)['jti']}"

    def __exit__(self, *_: object) -> None:
        self._api("DELETE", f"{self._secrets}/{self._name}")


def claims(token: str) -> Object:
    payload = token.split(".")[1]
    found: Object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def put(uid: str, token: str) -> None:
    """Write a pod's token as the kubelet does: a new folder, then one link to it."""
    volumes = Path(f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected")
    (volume,) = volumes.iterdir()
    before = (volume / "..data").resolve()
    after = volume / f"..{time.time_ns()}"
    after.mkdir()
    for file in before.iterdir():
        text = token if file.name == "token" else file.read_text()
        (after / file.name).write_text(text)
    link = volume / "..data_tmp"
    link.symlink_to(after.name)
    link.rename(volume / "..data")
