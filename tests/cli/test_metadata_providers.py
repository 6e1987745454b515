# SPDX-License-Identifier: Apache-2.0
"""Who is asked for names: only what an option says, and a server of the API that answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from container_oomkill.cli.metadata_providers import MetadataProviders, ProviderSettings
from container_oomkill.errors import UsageError

from ..support.api_server import (
    EVENT,
    NODE,
    Cluster,
    container_id,
    pod,
    serving,
    uid,
)
from ..support.incidents import container, incident
from ..support.kubeconfig import kubeconfig
from ..support.waiting import eventually


def test_nothing_is_imported_and_nobody_asked_by_default() -> None:
    code = (
        "import sys, threading; before = set(sys.modules);"
        "from container_oomkill.cli.metadata_providers import MetadataProviders, ProviderSettings;"
        "made = MetadataProviders(ProviderSettings(), print);"
        "made.close(); made.close();"
        "assert not (made.asked or made.stores or made.sinks or made.queues);"
        "assert made.watch_up() is None;"
        "assert threading.active_count() == 1;"
        "after = set(sys.modules) - before;"
        "assert not [each for each in after if 'kubernetes' in each or 'engine' in each], after"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_clusters_pods_and_events(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.put(pod(1))
    with serving(cluster) as url:
        settings = ProviderSettings(
            kubernetes=True,
            kubernetes_events=True,
            kubernetes_node=NODE,
            kubeconfig=kubeconfig(tmp_path, {"server": url}, {}),
        )
        with MetadataProviders(settings, lambda _: None) as providers:
            eventually(providers.watch_up)
            (asked,) = providers.asked
            found = eventually(lambda: asked.find(container_id(1), uid(1)))
            assert (found.pod, found.namespace) == ("cart-7d9f4-1", "shop")
            depth, size = providers.queues["kubernetes_event"]
            assert (depth(), size) == (0, 256)
            named = container("app", pod=found.pod, namespace=found.namespace, pod_uid=uid(1))
            _, _ = providers.sinks  # the status is held against it, and the Event
            for sink in providers.sinks:
                sink(incident(container=named, verdict="because"))
            eventually(lambda: depth() == 0)
            (written,) = cluster.requests(EVENT)
            assert written.body["source"]["host"] == NODE


def test_events_alone_need_no_nodes_name(tmp_path: Path) -> None:
    with serving(Cluster()) as url:
        config = kubeconfig(tmp_path, {"server": url}, {})
        settings = ProviderSettings(kubernetes_events=True, kubeconfig=config)
        with MetadataProviders(settings, lambda _: None, node="here") as providers:
            assert not providers.asked
            assert len(providers.sinks) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ProviderSettings(kubernetes=True), "set NODE_NAME .*, or pass --kubernetes.node"),
        (ProviderSettings(kubernetes=True, kubernetes_node="n"), "KUBERNETES_SERVICE_HOST"),
        (ProviderSettings(kubernetes_events=True, kubeconfig="/nowhere"), "--kubeconfig /nowhere"),
    ],
)
def test_what_lacks_is_said(
    settings: ProviderSettings, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(UsageError, match=words):
        MetadataProviders(settings, lambda _: None)
