# SPDX-License-Identifier: Apache-2.0
"""The ways of docs/kubernetes.md from a page to the incident, as a person takes them."""

from __future__ import annotations

import copy
import http.client
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from ..support.cluster import table
from ..support.cluster.cluster import Cluster
from ..support.cluster.daemons import wait_for
from ..support.cluster.exporter import deployed, overlay
from ..support.cluster.pods import NAMESPACE, container, pod
from ..support.manifests import NAME
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
    url = {"name": "CONTAINER_OOMKILL_WEB_EXTERNAL_URL", "value": PROXY}
    only_container(objects)["env"].append(url)
    killed = pod("paged", container("app", "name greedy anon 64", 48))
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
