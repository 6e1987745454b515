# SPDX-License-Identifier: Apache-2.0
"""The ways of docs/kubernetes.md from a page to the incident, as a person takes them."""

from __future__ import annotations

import copy
import http.client
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

from ..support.cluster import table
from ..support.cluster.api import Object
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import Exporter, deployed, overlay
from ..support.cluster.pods import GREEDY, NAMESPACE, container, pod
from ..support.manifests import NAME, one
from ..support.manifests import container as only_container

PROXY = f"http://127.0.0.1:8001/api/v1/namespaces/{NAME}/pods/$(POD_NAME):9262/proxy"


@contextmanager
def running(command: Sequence[str], words: str) -> Iterator[None]:
    """A kubectl that stays, once it has printed ``words``."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert words in process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.communicate()


def fetched(url: str) -> str:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=30)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        assert answer.status == 200, (url, answer.status)
        return answer.read().decode()
    finally:
        connection.close()


def test_from_the_event_to_the_page(cluster: Cluster) -> None:
    """The link in `kubectl describe pod` opens, and so does what that page links to."""
    objects = copy.deepcopy(overlay("kubernetes"))  # shared by the tests
    name = "CONTAINER_OOMKILL_WEB_EXTERNAL_URL"
    others = [each for each in only_container(objects)["env"] if each["name"] != name]
    only_container(objects)["env"] = [*others, {"name": name, "value": PROXY}]
    killed = pod("paged", GREEDY)
    kubectl = cluster.kubectl
    with deployed(cluster.api, kubectl, objects) as (exporter, _):
        kubectl.apply([killed])
        try:
            found: list[str] = []

            def link_is_there() -> bool:
                described = kubectl.describe(NAMESPACE, "paged")
                found[:] = re.findall(r"(http://\S+/incidents/\S+)", described)
                return bool(found)

            wait_for(link_is_there, "no link in the Event")
            (link,) = found
            (record,) = exporter.of("paged")
            with running(kubectl.command("proxy"), "127.0.0.1:8001"):
                page = fetched(link)
                assert record["victims"][0]["command"] in page
                (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
                assert "color" in fetched(f"http://127.0.0.1:8001{style}")
                (home,) = re.findall(r'class="brand"><a href="([^"]+)"', page)
                assert "paged" in fetched(f"http://127.0.0.1:8001{home}")
            forward = kubectl.command("--namespace", NAME, "port-forward", "--address", "127.0.0.1")
            with running([*forward, f"daemonset/{NAME}", "9262"], "127.0.0.1:9262"):
                path = f"/incidents/{link.rpartition('/')[2]}"
                assert record["victims"][0]["command"] in fetched(f"http://127.0.0.1:9262{path}")
            show = ["exec", f"daemonset/{NAME}", "--", NAME, "show"]
            assert "paged" in kubectl("--namespace", NAME, *show)
            table.add("reach", "kubectl describe, the link, kubectl proxy", link)
            table.add("reach", "kubectl port-forward", f"http://127.0.0.1:9262{path}")
        finally:
            kubectl.delete([killed])


def test_the_headless_service_has_each_nodes_address(
    cluster: Cluster, daemon_set: Exporter
) -> None:
    """As a proxy or a scrape by DNS finds them: by the node's name, ready or not."""
    pod_ = daemon_set.pod()
    path = f"/apis/discovery.k8s.io/v1/namespaces/{NAME}/endpointslices"
    listed = f"{path}?labelSelector=kubernetes.io/service-name={NAME}"

    def addresses() -> list[tuple[str, str, int]]:
        return [
            (endpoint["nodeName"], address, port["port"])
            for each in cluster.api.items(listed)
            for endpoint in each["endpoints"] or ()
            for address in endpoint["addresses"]
            for port in each["ports"]
        ]

    wanted = [(pod_["spec"]["nodeName"], pod_["status"]["podIP"], 9262)]
    wait_for(lambda: addresses() == wanted, "the Service has not the pod's address")
    assert cluster.api.get(f"/api/v1/namespaces/{NAME}/services/{NAME}")["spec"]["clusterIP"] == (
        "None"
    )
    table.add("reach", "headless Service", " ".join(map(str, *wanted)))


def test_whom_the_network_policy_admits(cluster: Cluster, daemon_set: Exporter) -> None:
    """By the API server's own reading of its selectors: no network plugin enforces it here."""
    path = f"/apis/networking.k8s.io/v1/namespaces/{NAME}/networkpolicies/{NAME}"
    spec = cluster.api.get(path)["spec"]
    objects = overlay("kubernetes")
    assert labelled(cluster, NAME, spec["podSelector"]) == [daemon_set.pod()["metadata"]["name"]]
    (rule,) = spec["ingress"]
    (port,) = rule["ports"]
    named = {each["name"]: each["containerPort"] for each in only_container(objects)["ports"]}
    assert (port["protocol"], named[port["port"]]) == ("TCP", 9262)
    clients = {
        "ingress": {"container-oomkill-client": "true"},
        "prometheus": {"app.kubernetes.io/name": "prometheus"},
        "anybody": {"app": "anybody"},
    }
    made = [pod(name, container("app", "wait", 8)) for name in clients]
    for each, labels in zip(made, clients.values(), strict=True):
        each["metadata"]["labels"] = labels
    cluster.kubectl.apply(made)
    try:
        assert all(each["namespaceSelector"] == {} for each in rule["from"])
        admitted = [
            name
            for each in rule["from"]
            for name in labelled(cluster, NAMESPACE, each["podSelector"])
        ]
        assert sorted(admitted) == ["ingress", "prometheus"]
        assert one(objects, "NetworkPolicy")["spec"]["policyTypes"] == spec["policyTypes"]
        table.add("reach", "NetworkPolicy", f"admits {admitted} of {[*clients]}")
    finally:
        cluster.kubectl.delete(made)


def labelled(cluster: Cluster, namespace: str, selector: Object) -> list[str]:
    """The pods that a selector finds."""
    wanted = ",".join(f"{name}={value}" for name, value in selector["matchLabels"].items())
    found = cluster.api.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(wanted)}")
    return [each["metadata"]["name"] for each in found]
