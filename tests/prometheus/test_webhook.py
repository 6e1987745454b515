# SPDX-License-Identifier: Apache-2.0
"""The webhook's template for Alertmanager, and a real Alertmanager that passes it on."""

from __future__ import annotations

from pathlib import Path

from container_oomkill.diagnosis.verdict import explain

from ..support.alertmanager import alertmanager
from ..support.incidents import container, now
from ..support.waiting import eventually
from ..support.webhooks import configured, sender


def test_alertmanager_takes_it(tmp_path: Path) -> None:
    with alertmanager(tmp_path) as (address, webhook):
        url = f"http://{address}/api/v2/alerts"
        ours = configured(tmp_path, url=url, template="alertmanager")
        with sender(ours, external_url="https://oom.example") as sending:
            one = explain(now(1, container=container("app")))
            sending(one)
            outside = container("<web> \"'", namespace=None, pod=None)
            sending(explain(now(2, container=outside)))
            eventually(lambda: sending.counts.now().sent == 2)
        (alert,) = eventually(lambda: webhook.of("ContainerOomKilled", container="app"))
        assert alert["labels"]["namespace"] == "shop"
        assert alert["annotations"]["description"] == one.verdict
        assert alert["annotations"]["page_url"] == f"https://oom.example/incidents/{one.id}"
        assert eventually(lambda: webhook.of("ContainerOomKilled", container="<web> \"'"))
