# SPDX-License-Identifier: Apache-2.0
"""A rolling update of the DaemonSet in the middle of kills: with pins none is missed."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path

import pytest

from ..support.cluster import provoke, table
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import deployed, overlay
from ..support.cluster.pods import container, pod
from ..support.kernel.cgroups import is_v1
from ..support.manifests import NAME
from ..support.manifests import container as only_container

KILLS = 400


@pytest.mark.skipif(not is_v1(), reason="on cgroup v2 a kill takes the whole container")
def test_no_kill_is_missed(cluster: Cluster, tmp_path: Path) -> None:
    objects = copy.deepcopy(overlay("pins"))  # shared by the tests
    environment = only_container(objects)["env"]
    environment.append({"name": "CONTAINER_OOMKILL_LOG_INCIDENTS", "value": "json"})
    script = f"name serving until /control/go times {KILLS} anon 64"
    killed = pod("killed", container("app", script, 32), container("side", "wait", 48))
    with deployed(cluster.api, cluster.kubectl, objects) as (exporter, _):
        cluster.kubectl.apply([killed])
        try:
            provoke.running(cluster, "killed")
            first = exporter.pod()
            logs = [tmp_path / "before", tmp_path / "after"]
            with followed(cluster, first["metadata"]["name"], logs[0]):
                provoke.go(cluster, "killed")
                wait_for(lambda: len(told(logs[0])) > KILLS // 10, "no kills")
                cluster.kubectl("--namespace", NAME, "rollout", "restart", f"daemonset/{NAME}")
                cluster.kubectl("--namespace", NAME, "rollout", "status", f"daemonset/{NAME}")
            seconds = wait_for(lambda: ended(cluster), "the pod did not end")
            second = exporter.pod()
            assert second["metadata"]["uid"] != first["metadata"]["uid"]

            def all_told() -> bool:
                logs[1].write_text(exporter.log())
                return len(told(*logs)) >= KILLS

            wait_for(all_told, "kills are missing")
            before, after = told(logs[0]), told(logs[1])
            assert before.isdisjoint(after)
            assert len(before | after) == KILLS
            words = f"{KILLS} kills: {len(before)} told before, {len(after)} after, none missed"
            table.add("rolling update with pins", "rollout restart", words, seconds)
        finally:
            cluster.kubectl.delete([killed])


class followed:  # noqa: N801 - reads as the function it is
    """What `kubectl logs --follow` gives of a pod, to its end."""

    def __init__(self, cluster: Cluster, name: str, path: Path) -> None:
        self._command = cluster.kubectl.command("--namespace", NAME, "logs", "--follow", name)
        self._path = path

    def __enter__(self) -> None:
        with self._path.open("wb") as file:
            self._process = subprocess.Popen(self._command, stdout=file)

    def __exit__(self, *_: object) -> None:
        self._process.wait(60)


def told(*logs: Path) -> set[int]:
    """The victims of this pod, by pid."""
    lines = [line for log in logs for line in log.read_text().splitlines()]
    records = [json.loads(line) for line in lines if line.startswith("{")]
    return {
        victim["pid"]
        for record in records
        if record["container"]["pod"] == "killed"
        for victim in record["victims"]
    }


def ended(cluster: Cluster) -> bool:
    statuses = cluster.api.get(f"{provoke.PODS}/killed")["status"]["containerStatuses"]
    return any("terminated" in each["state"] for each in statuses)
