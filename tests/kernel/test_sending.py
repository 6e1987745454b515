# SPDX-License-Identifier: Apache-2.0
"""A real kill reaches a receiver of OTLP by TLS, and a webhook, from a process without rights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..support.certificates import make_authority
from ..support.collector import free_address
from ..support.kernel.actors import Container
from ..support.kernel.cgroups import Cgroup
from ..support.kernel.exporter import Exporter, address_of, incidents, start
from ..support.kernel.processes import DEADLINE, Hog
from ..support.kernel.rights import FILTER, rights
from ..support.receiver import Got, Receiver, attributes
from ..support.waiting import eventually

pytestmark = pytest.mark.needs("no emulation")

WEBHOOK = """\
webhooks:
  - {{ name: chat, url: "{url}", template: generic, group_interval: "0" }}
"""


def sent_of(collector: Receiver, pid: int) -> list[dict[str, Any]]:
    """The records of a process; others on this machine may be killed as well."""
    return [each for each in collector.records() if attributes(each).get("process.pid") == pid]


def test_a_kill_by_another_reaches_the_collector(
    hook: str, container: Callable[..., Container]
) -> None:
    with Receiver() as collector:
        options = ("--otlp.endpoint", collector.url)
        with start(hook, *options, stdout=subprocess.DEVNULL) as process:
            address_of(process)
            try:
                started = container()
                os.kill(started.init, signal.SIGKILL)
                (record,) = eventually(partial(sent_of, collector, started.init))
            finally:
                process.kill()
    said = attributes(record)
    assert record["eventName"] == "container_oomkill.kill"
    assert said["container.id"] == started.id
    assert said["container_oomkill.killer.pid"] == os.getpid()
    assert json.loads(said["container_oomkill.record"])["target"]["pid"] == started.init


@pytest.mark.needs("flight recorder")
@pytest.mark.needs("cgroup v1")
def test_what_is_stuck_reaches_the_collector(
    hook: str, make_cgroups: Callable[..., list[Cgroup]], hog: Callable[..., Hog]
) -> None:
    """When it begins, while it is stuck; and when it is over."""
    (cgroup,) = make_cgroups("/oomkill-sent-stuck")
    cgroup.limit(24)
    cgroup.write("memory.oom_control", "1")

    def found() -> list[dict[str, Any]]:
        told = (attributes(each) for each in collector.records())
        return [each for each in told if each.get("container_oomkill.stuck.cgroup") == cgroup.path]

    with Receiver() as collector:
        options = ("--otlp.endpoint", collector.url)
        with start(hook, *options, stdout=subprocess.DEVNULL) as process:
            address_of(process)
            try:
                started = hog(cgroup, "anon 64")
                eventually(found)
                assert started.process.poll() is None
                started.close()
                cgroup.remove()
                eventually(lambda: len(found()) == 2)
            finally:
                process.kill()
    assert [each["container_oomkill.stuck.ended"] for each in found()] == [False, True]
    assert {each["container_oomkill.cause"] for each in found()} == {"oom_disabled"}


def told_of(chat: Receiver, incident: str) -> list[Got]:
    return [got for got in list(chat.got) if got.json()["record"]["id"] == incident]


def rights_with_powerless(pid: int, wanted: int) -> list[dict[str, str]] | None:
    """None while a request still has its thread beside these, which keeps its deadline."""
    threads = rights(pid)
    powerless = sum(int(each["CapEff"], 16) == 0 for each in threads)
    return threads if powerless == wanted else None


def test_a_kill_reaches_who_is_to_be_told(
    hook: str,
    make_cgroups: Callable[..., list[Cgroup]],
    hog: Callable[..., Hog],
    tmp_path: Path,
) -> None:
    """The first while the collector is away: its socket, TLS and back-off pass the filter, too."""
    make_authority(tmp_path)
    (cgroup,) = make_cgroups("/oomkill-sent")
    cgroup.limit(32)
    address = free_address()
    config = tmp_path / "webhooks.yml"
    with Receiver() as chat:
        config.write_text(WEBHOOK.format(url=chat.url))
        options = (
            *("--otlp.endpoint", f"https://{address}", "--otlp.ca-file", str(tmp_path / "ca.pem")),
            *("--webhook.config", str(config), "--history", str(tmp_path / "history")),
        )
        with start(hook, *options, stdout=subprocess.DEVNULL) as process:
            exporter = Exporter(process, address_of(process))
            try:
                killed = [hog(cgroup, "name sent anon 64")]
                assert killed[0].was_killed()
                retries = 'container_oomkill_send_retries_total{destination="otlp"}'
                eventually(lambda: exporter.value(retries))
                port = int(address.rpartition(":")[2])
                with Receiver(certificate=tmp_path / "server.pem", port=port) as collector:
                    killed.append(hog(cgroup, "name sent anon 64"))
                    assert killed[1].was_killed()
                    for each in killed:
                        (record,) = eventually(partial(sent_of, collector, each.pid))
                        (incident,) = incidents(exporter, each.pid)
                        said = attributes(record)
                        assert json.loads(said["container_oomkill.record"]) == incident
                        assert said["container_oomkill.hook"] == hook
                        assert record["eventName"] == "container_oomkill.oom"
                        assert record["body"]["stringValue"].endswith(incident["verdict"])
                        eventually(partial(told_of, chat, incident["id"]))
                # The web server, and whoever sends: nothing is left of root.
                threads = eventually(partial(rights_with_powerless, process.pid, 3))
                assert {each["Seccomp"] for each in threads} == {FILTER}
                process.send_signal(signal.SIGTERM)
                assert process.wait(DEADLINE) == 0
            finally:
                process.kill()
