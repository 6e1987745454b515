# SPDX-License-Identifier: Apache-2.0
"""The exporter with real kills and a real Prometheus, from the kernel to the alert."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import select
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from container_oomkill.libbpf.object import LoadedObject, OpenObject
from container_oomkill.probe.attach import attach
from container_oomkill.probe.kernel_counts import read_kernel_kills
from container_oomkill.probe.object_file import read_object

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.exporter import Exporter, address_of, incidents, start
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import DEADLINE, Hog
from ..support.prometheus import needs_prometheus, prometheus
from ..support.waiting import eventually

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
CONTAINER = secrets.token_hex(32)

pytestmark = pytest.mark.needs("no emulation")


def docker_state(root: Path) -> None:
    """What Docker keeps of a container, as it lays it out."""
    folder = root / "var/lib/docker/containers" / CONTAINER
    folder.mkdir(parents=True)
    config = {"ID": CONTAINER, "Name": "/shop", "Config": {"Image": "shop:1.2", "Labels": {}}}
    (folder / "config.v2.json").write_text(json.dumps(config))


@pytest.fixture
def exporter(hook: str, tmp_path: Path) -> Iterator[Exporter]:
    docker_state(tmp_path)
    log, options = tmp_path / "log", ("--host-root", str(tmp_path))
    with log.open("w") as output, start(hook, *options, stdout=output) as process:
        assert process.stderr is not None
        words = process.stderr.readline()
        assert words.startswith(
            f"container-oomkill: attached with {hook}, listening on 127.0.0.1:"
        ), words
        yield Exporter(process, words.split()[-1])
        process.kill()


@needs_prometheus
def test_from_the_kernel_to_the_alert(
    exporter: Exporter,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    tmp_path: Path,
) -> None:
    _, cgroup = make_cgroups("/docker", f"/docker/{CONTAINER}")
    cgroup.limit(32)
    folder = tmp_path / "prometheus"
    folder.mkdir()
    series = 'container_oomkill_total{container="shop",scope="container"}'
    alert = 'ALERTS{alertname="ContainerOomKilled",container="shop",alertstate="firing"}'
    with prometheus(folder, exporter.address, window="4") as server:
        eventually(lambda: server.value(series) == 0)
        till = hog(cgroup, "name till anon 64")
        assert till.was_killed()
        killed = kernel_log.killed(till.pid)
        eventually(lambda: server.value(f"increase({series}[1m])") or 0)
        eventually(lambda: server.value(f"max_over_time({alert}[5m])") == 1)
        eventually(lambda: server.value(alert) is None)
        # Where the machine is too busy for a scrape, nothing is known until the next one.
        assert eventually(lambda: server.value(series)) == 1
        limit = 'container_oomkill_memory_limit_bytes{container="shop"}'
        assert eventually(lambda: server.value(limit)) == 32 * MIB
        (info,) = eventually(lambda: server.query('container_oomkill_last_info{container="shop"}'))
        assert info["metric"]["container_id"] == CONTAINER
        assert info["metric"]["image"] == "shop:1.2"
        assert info["metric"]["command"] == killed.comm == "till"
        # Others on this machine may be killed: of the kernel's count, what is not told is nothing.
        eventually(lambda: server.value("container_oomkill_unaccounted") == 0)
        untold = "sum(container_oomkill_kernel_kills_total) - sum(container_oomkill_total)"
        eventually(lambda: server.value(untold) == 0)


def test_what_it_serves(
    exporter: Exporter, make_cgroups: MakeCgroups, hog: StartHog, hook: str, tmp_path: Path
) -> None:
    (cgroup,) = make_cgroups("/oomkill-served")
    cgroup.limit(32)
    assert exporter.get("/readyz")
    assert exporter.get("/healthz")
    started = hog(cgroup, "name served anon 64")
    assert started.was_killed()
    eventually(lambda: incidents(exporter, started.pid))
    (incident,) = incidents(exporter, started.pid)
    assert incident["hook"] == hook
    assert "container_oomkill_probe_info{" in exporter.get("/metrics")
    assert exporter.value('container_oomkill_lost_total{reason="ring_full"}') == 0
    with pytest.raises(urllib.error.HTTPError, match="404"):
        exporter.get("/../etc/passwd")
    exporter.process.send_signal(signal.SIGTERM)
    assert exporter.process.wait(DEADLINE) == 0
    assert exporter.process.stderr is not None
    assert exporter.process.stderr.read() == ""
    assert f"OOM  {cgroup.path[1:]}  limit 32.0 MiB reached" in (tmp_path / "log").read_text()


def test_a_kill_while_it_is_being_loaded_is_none_that_it_missed(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cgroup,) = make_cgroups("/oomkill-before")
    cgroup.limit(32)
    load = OpenObject.load

    def kill_and_load(opened: OpenObject) -> LoadedObject:
        assert hog(cgroup, "anon 64").was_killed()
        return load(opened)

    monkeypatch.setattr(OpenObject, "load", kill_and_load)
    before = read_kernel_kills()
    with attach(read_object(), hook=hook) as probe:
        assert before is not None
        assert probe.kills_before is not None
        assert probe.kills_before > before


def test_a_log_without_room_is_said_once_and_ends_nothing(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str
) -> None:
    (cgroup,) = make_cgroups("/oomkill-unlogged")
    cgroup.limit(32)
    with Path("/dev/full").open("w") as full, start(hook, stdout=full) as process:
        exporter = Exporter(process, address_of(process))
        started = hog(cgroup, "anon 64")
        assert started.was_killed()
        eventually(lambda: exporter.value('container_oomkill_lost_total{reason="log"}'))
        eventually(lambda: len(incidents(exporter, started.pid)) == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
        assert process.stderr is not None
        errors = process.stderr.read()
    assert errors == "container-oomkill: stopped logging incidents: no space left on device\n"


def test_a_log_that_nobody_reads_does_not_keep_it_from_ending(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str
) -> None:
    (cgroup,) = make_cgroups("/oomkill-unread-log")
    cgroup.limit(32)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"\n" * 4096)
    with os.fdopen(read), os.fdopen(write, "w") as unread, start(hook, stdout=unread) as process:
        try:
            exporter = Exporter(process, address_of(process))
            started = hog(cgroup, "anon 64")
            assert started.was_killed()
            eventually(lambda: incidents(exporter, started.pid))
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE) == 1
        finally:
            process.kill()
        assert process.stderr is not None
        assert "stopped while stdout was blocked" in process.stderr.read()


def test_each_kill_around_its_start_is_told_or_one_of_before(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str
) -> None:
    (cgroup,) = make_cgroups("/oomkill-start")
    cgroup.limit(8)
    assert hog(cgroup, "anon 16").was_killed()
    pids = set()
    with start(hook, "--log.incidents=off", "--web.max-incidents=8000") as process:
        try:
            assert process.stderr is not None
            while not select.select([process.stderr], [], [], 0)[0]:
                started = hog(cgroup, "anon 16")
                assert started.was_killed()
                pids.add(started.pid)
            exporter = Exporter(process, address_of(process))
            last = hog(cgroup, "anon 16")
            assert last.was_killed()
            eventually(lambda: incidents(exporter, last.pid))
            labels = f'container="{cgroup.path[1:]}",namespace="",pod=""'
            earlier = exporter.value(f"container_oomkill_earlier_kills{{{labels}}}")
            told = [pid for pid in (*pids, last.pid) if incidents(exporter, pid)]
            assert len(told) + (earlier or 0) == cgroup.oom_kills()
        finally:
            process.kill()


def test_a_kill_is_remembered_past_sigkill(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str, tmp_path: Path
) -> None:
    (cgroup,) = make_cgroups("/oomkill-remembered")
    cgroup.limit(32)
    path = str(tmp_path / "history")
    with start(hook, "--history", path) as process:
        first = Exporter(process, address_of(process))
        started = hog(cgroup, "name remembered anon 64")
        assert started.was_killed()
        eventually(lambda: incidents(first, started.pid))
        (before,) = incidents(first, started.pid)
        eventually(lambda: before["id"] in remembered(path))
        process.kill()
    with start(hook, "--history", path) as process:
        assert incidents(Exporter(process, address_of(process)), started.pid) == [before]
        process.kill()


def test_kills_while_it_was_down_are_counted_as_missed(
    make_cgroups: MakeCgroups, hog: StartHog, hook: str, tmp_path: Path
) -> None:
    """Others on this machine may be killed meanwhile: no more than the kernel counts are missed."""
    (cgroup,) = make_cgroups("/oomkill-missed")
    cgroup.limit(32)
    history = ("--history", str(tmp_path / "history"))
    missed = "container_oomkill_missed_while_down"
    with start(hook, *history) as process:
        first = Exporter(process, address_of(process))
        assert first.value(missed) is None
        recorded = hog(cgroup, "anon 64")
        assert recorded.was_killed()
        eventually(lambda: incidents(first, recorded.pid))
        before = read_kernel_kills()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    assert hog(cgroup, "anon 64").was_killed()
    with start(hook, *history) as process:
        second = Exporter(process, address_of(process))
        after = read_kernel_kills()
        assert before is not None
        assert after is not None
        assert 1 <= (second.value(missed) or 0) <= after - before
        labels = f'container="{cgroup.path[1:]}",namespace="",pod=""'
        earlier = second.value(f"container_oomkill_earlier_kills{{{labels}}}")
        assert earlier == 1  # the other is in the history
        process.kill()


def remembered(path: str) -> list[str]:
    lines = Path(path).read_text().splitlines(keepends=True)
    return [json.loads(line)["id"] for line in lines if line.endswith("\n")]


def test_a_busy_port_is_one_line(hook: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with start(hook, "--web.listen-address", address) as process:
            _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert errors.startswith("container-oomkill: ")
    assert address in errors


def test_what_was_refused_is_tried_again(hook: str, tmp_path: Path) -> None:
    """The kernel's types come late: not ready until then, ready without a new start."""
    btf = tmp_path / "btf"
    with start(hook, "--retry-attach", "--btf", str(btf)) as process:
        assert process.stderr is not None
        refused = process.stderr.readline()
        assert refused.startswith(f"container-oomkill: read the kernel's types from {btf}: ")
        late = tmp_path / "late"
        late.write_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
        late.rename(btf)
        words = process.stderr.readline()
        assert words.startswith(
            f"container-oomkill: attached with {hook}, listening on 127.0.0.1:"
        ), words
        ready = Exporter(process, words.split()[-1])
        eventually(ready.is_ready)
        assert "container_oomkill_probe_info{" in ready.get("/metrics")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
