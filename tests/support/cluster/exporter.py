# SPDX-License-Identifier: Apache-2.0
"""Takes objects of deploy/, gives the exporter as a real DaemonSet of the cluster."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from ..manifests import NAME, kustomized
from .api import Api, Object
from .daemons import NotInTimeError, wait_for
from .kubectl import Kubectl

PODS = f"/api/v1/namespaces/{NAME}/pods"
DAEMON_SET = f"/apis/apps/v1/namespaces/{NAME}/daemonsets/{NAME}"
ACCOUNT = f"{NAME}:{NAME}"
PINS = Path("/sys/fs/bpf/container-oomkill")
# What the API has only where somebody installed an operator, or OpenShift.
FOREIGN = ("monitoring.coreos.com/", "security.openshift.io/")


class Served:
    """What an exporter serves, asked from the node by its address."""

    def __init__(self, address: str) -> None:
        self._address = address

    @property
    def address(self) -> str:
        return self._address

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection(self.address, 9262, timeout=120)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def incidents(self) -> list[Object]:
        found: list[Object] = json.loads(self.get("/api/v1/incidents"))["incidents"]
        return found

    def kills_by_others(self, pod: str) -> list[Object]:
        """Of the pod of that name."""
        return self._of(pod, "kills")

    def stuck(self, pod: str) -> list[Object]:
        """Of the pod of that name: out of memory without a kill."""
        return self._of(pod, "stuck")

    def _of(self, pod: str, kind: str) -> list[Object]:
        found: list[Object] = json.loads(self.get(f"/api/v1/{kind}"))[kind]
        return [each for each in found if each["container"]["pod"] == pod]

    def of(self, pod: str) -> list[Object]:
        """The incidents of pods whose names begin so, oldest first."""
        of_pods = [each for each in self.incidents() if each["container"]["pod"]]
        found = [each for each in of_pods if each["container"]["pod"].startswith(pod)]
        return sorted(found, key=lambda each: int(each["boot_ns"]))

    def samples(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Labels and values of the series that have these labels, maybe others too."""
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        return sum(value for _, value in self.samples(name, **labels))


class Exporter(Served):
    """The exporter on the only node; whichever pod it is at the moment."""

    def __init__(self, api: Api, kubectl: Kubectl) -> None:
        self.asked_before = 0  # how many requests its account had made before it was there
        self.api = api
        self.kubectl = kubectl

    @property
    def address(self) -> str:
        address: str = self.pod()["status"]["podIP"]
        return address

    def pod(self) -> Object:
        """The newest one that is not about to end, once it has an address."""
        pods: list[Object] = []

        def look() -> bool:
            pods[:] = [
                each
                for each in self.api.items(PODS)
                if "deletionTimestamp" not in each["metadata"] and "podIP" in each["status"]
            ]
            return bool(pods)

        wait_for(look, "there is no pod")
        return max(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    def is_ready(self) -> bool:
        """Whether Kubernetes says so: all that there are, and as the DaemonSet is now."""
        found = self.api.get(DAEMON_SET)
        status = found["status"]
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(
            wanted
            and status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("updatedNumberScheduled") == wanted
            and status.get("numberAvailable") == wanted
        )

    def log(self, *options: str) -> str:
        return self.kubectl("--namespace", NAME, "logs", f"daemonset/{NAME}", *options)

    def describe(self) -> str:
        """What there is to see where it does not start."""
        # Not both at once: kubectl 1.37 leaves the Events out then.
        kinds = ("daemonset", "pod")
        return "".join(self.kubectl("--namespace", NAME, "describe", each) for each in kinds)


def served(objects: Sequence[Object]) -> list[Object]:
    """Without what this cluster's API does not know."""
    return [each for each in objects if not each["apiVersion"].startswith(FOREIGN)]


@contextlib.contextmanager
def deployed(
    api: Api, kubectl: Kubectl, objects: Sequence[Object], *, ready: bool = True
) -> Iterator[tuple[Exporter, float]]:
    """Apply it, wait for Ready, remove it again; gives the seconds from the one to the other."""
    ours = served(objects)
    exporter = Exporter(api, kubectl)
    wait_for(lambda: api.find(f"/api/v1/namespaces/{NAME}/serviceaccounts/default"), "namespace")
    started = time.monotonic()
    try:
        kubectl.apply(ours)
        if ready:
            try:
                wait_for(exporter.is_ready, "the DaemonSet is not ready")
            except NotInTimeError:
                print(exporter.describe())
                print(exporter.log())
                raise
        yield exporter, time.monotonic() - started
    finally:
        remove(api, kubectl, ours)


def remove(api: Api, kubectl: Kubectl, objects: Sequence[Object]) -> None:
    """Delete it, and its pins; the namespace, which takes long to go, stays."""
    kubectl.delete([each for each in objects if each["kind"] != "Namespace"])
    gone(api)


def gone(api: Api) -> None:
    """Wait for its end; what it pinned would fill up with the kills of others."""
    wait_for(lambda: not api.items(PODS), "its pods are not gone")
    shutil.rmtree(PINS, ignore_errors=True)


def overlay(name: str) -> list[Any]:
    return kustomized(name)
