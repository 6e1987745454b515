# SPDX-License-Identifier: Apache-2.0
"""The receiver is gone for an hour, or the disk is full meanwhile: every kill arrives."""

from __future__ import annotations

import json
import resource
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.sending.backlog import Backlog
from container_oomkill.system.backoff import ASKED_FOR_MOST_SECONDS, MOST_SECONDS, Backoff

from ..support import otlp, webhooks
from ..support.collector import free_address
from ..support.exporter_process import running
from ..support.history import opened
from ..support.incidents import container, incident
from ..support.receiver import Receiver, attributes, status
from ..support.waiting import eventually

HOUR = 3600.0


class Hastened(Backoff):
    """Waits a thousandth of what it says; ``waited``: seconds that it has said so far."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    def next(self, asked_for: float | None = None) -> float:
        seconds = super().next(asked_for)
        self.waited += seconds
        return seconds / 1000


@pytest.mark.parametrize("kind", ["otlp", "webhook"])
def test_gone_for_an_hour(tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    """By the clock of the back-off: few tries, two lines in the log, and then all of it, once."""
    address, path = free_address(), tmp_path / "history"
    backoff = Hastened()
    with closing(opened(path)) as file:
        queue = Backlog(file, str(path), kind, size=256)
        sending: Any
        if kind == "otlp":
            sending = otlp.sender(f"http://{address}", queue, backoff=backoff)
        else:
            # Or its own limit, of which a failure is a part, would take an hour of ours.
            rate = {"burst": "10000"}
            webhook = webhooks.configured(tmp_path, url=f"http://{address}/hook", rate_limit=rate)
            sending = webhooks.sender(webhook, queue, backoff=backoff)
        with sending:
            kills = [explain(incident(each, container=container(f"a{each}"))) for each in range(8)]
            for each in kills:
                file(each)
            eventually(lambda: backoff.waited > HOUR)
            # Between half a minute and a minute each, but for the first few.
            assert sending.counts.now().retries < HOUR / (MOST_SECONDS / 2) + 10
            assert sending.queue.depth() == len(kills)
            with Receiver(port=int(address.rpartition(":")[2])) as receiver:
                eventually(lambda: sending.counts.now().sent == len(kills))
                eventually(lambda: sending.queue.depth() == 0)
    found = []
    for got in receiver.got:
        if kind == "otlp":
            found += [attributes(each)["container_oomkill.incident"] for each in got.records()]
        else:
            found.append(got.json()["record"]["id"])
    assert found == [each.id for each in kills]
    assert sum(sending.counts.now().dropped.values()) == 0
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].endswith("connection refused")
    assert said[1].endswith("works again")


def test_a_receiver_does_not_keep_us_away_for_longer_than_ten_minutes() -> None:
    backoff = Hastened()
    far = status(429, Retry_After="86400")
    with Receiver(far) as receiver, otlp.sender(receiver.url, backoff=backoff) as sending:
        sending(incident(1))
        eventually(lambda: sending.counts.now().sent == 1)
    assert ASKED_FOR_MOST_SECONDS <= backoff.waited <= ASKED_FOR_MOST_SECONDS + 1


def value(address: str, series: str) -> float:
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (found,) = (line.rpartition(" ")[2] for line in lines if line.startswith(f"{series} "))
    return float(found)


def test_the_disk_is_full(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The exporter may not write another byte: its pages have the kills, and so has everyone."""
    hook = tmp_path / "webhooks.yml"
    with Receiver() as collector, Receiver() as chat:
        entry = {"name": "chat", "url": chat.url, "template": "generic"}
        more = {"group_interval": "0", "rate_limit": {"burst": "1000"}}
        hook.write_text(yaml.safe_dump({"webhooks": [entry | more]}))
        options = (
            *("--history", str(tmp_path / "history"), "--otlp.endpoint", collector.url),
            *("--webhook.config", str(hook)),
        )
        with running(*options) as exporter:
            exporter.tell("kills 3")
            exporter.tell("written")
            _, hard = resource.prlimit(exporter.pid, resource.RLIMIT_FSIZE)
            size = (tmp_path / "history").stat().st_size
            resource.prlimit(exporter.pid, resource.RLIMIT_FSIZE, (size, hard))
            exporter.tell("kills 20")
            exporter.tell("written")
            eventually(lambda: len(collector.records()) >= 23)
            eventually(lambda: len(chat.got) >= 23)
            sent = "container_oomkill_sent_incidents_total"
            for each in ("otlp", "webhook-chat"):
                assert value(exporter.address, f'{sent}{{destination="{each}"}}') == 23
                series = f'container_oomkill_lost_total{{reason="{each}"}}'
                assert value(exporter.address, series) == 0
            assert value(exporter.address, 'container_oomkill_lost_total{reason="history"}') > 0
            url = f"http://{exporter.address}/api/v1/incidents?limit=1000"
            with urllib.request.urlopen(url) as answer:
                kept = {each["sequence"] for each in json.load(answer)["incidents"]}
    arrived = [attributes(each)["container_oomkill.incident"] for each in collector.records()]
    assert len(arrived) == len(set(arrived)) == 23
    told = [got.json()["record"] for got in chat.got]
    assert {each["id"] for each in told} == set(arrived)
    assert {each["sequence"] for each in told} == kept
    assert "file too large" in capfd.readouterr().err
