# SPDX-License-Identifier: Apache-2.0
"""`exporter` around hooks that record what the test gives them: its parts, and their order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest

from container_oomkill.cli import exporter_pipeline
from container_oomkill.cli.exporter_parts import ExporterParts
from container_oomkill.cli.exporter_settings import ExporterCommandSettings
from container_oomkill.cli.metadata_providers import ProviderSettings, StateSettings
from container_oomkill.errors import UsageError
from container_oomkill.exporter.exporter import Exporter
from container_oomkill.exporter.settings import ExporterSettings
from container_oomkill.identity.discovery import ContainerDiscovery
from container_oomkill.incident.wire import lib
from container_oomkill.probe.probe import Probe
from container_oomkill.sinks.buffered import BufferedSink
from container_oomkill.system import privileges, standard_streams
from container_oomkill.web.http.listen import Address

from ..support.attach_settings import ATTACH
from ..support.hooks import Hooks, kill
from ..support.http_client import ask, get
from ..support.kills import Signals, kill_bytes
from ..support.stuck import Records, stuck_bytes
from ..support.trees import C, docker_config, write
from ..support.waiting import eventually

CGROUP = f"/docker/{C}"


class Setting:
    """A host on disk, hooks with one kill, and the exporter around them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.stdout = self.out.open("w")
        self.hooks = Hooks(0, kill(1, 41, time.clock_gettime_ns(time.CLOCK_BOOTTIME), CGROUP))
        write(folder / f"var/lib/docker/containers/{C}/config.v2.json", docker_config())
        counts = folder / f"cgroup{CGROUP}/memory.events.local"
        write(counts, "oom_kill 3\n")

    def parts(
        self, *, keep_privileges: bool = True, docker_socket: str | None = None, **changes: Any
    ) -> ExporterParts:
        settings = ExporterCommandSettings(
            attach=ATTACH,
            exporter=ExporterSettings(**{"listen_addresses": ("127.0.0.1:0",)} | changes),
            state=StateSettings(host_root=str(self.folder)),
            providers=ProviderSettings(docker_socket=docker_socket),
            node="here",
            keep_privileges=keep_privileges,
        )
        probe = cast("Probe", self.hooks)
        cgroups = str(self.folder / "cgroup")
        return ExporterParts(settings, probe, self.stdout, started=time.time(), cgroups=cgroups)

    def run(self, parts: ExporterParts, while_it_runs: Callable[[], None]) -> None:
        """Deliver what is recorded, call that, and stop."""

        def on_wait() -> None:
            while_it_runs()
            self.hooks.stop.set()

        self.hooks._on_wait = on_wait
        parts.run(self.hooks.stop)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def threads() -> set[str]:
    return {each.name for each in Path("/proc/self/task").iterdir()}


def text(address: Address, path: str) -> str:
    return ask(address, get(path)).body.decode()


def test_what_it_opened_for_records_is_closed_where_the_rest_cannot_be_made(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Any] = []

    class Queue(BufferedSink[Any]):
        def close(self) -> None:
            closed.append(self)
            super().close()

    monkeypatch.setattr(exporter_pipeline, "BufferedSink", Queue)
    monkeypatch.setattr(exporter_pipeline, "Pipeline", Mock(side_effect=MemoryError))
    with setting.parts(log_incidents="json") as parts, pytest.raises(MemoryError):
        setting.run(parts, lambda: None)
    assert [type(each) for each in closed] == [Queue]


def test_a_kill_is_served_logged_and_kept(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    history = setting.folder / "history"
    seen: dict[str, str] = {}
    with setting.parts(log_incidents="json", history=str(history)) as parts:
        (address,) = parts.exporter.addresses
        assert "not ready" in text(address, "/readyz")

        def look() -> None:
            for path in ("/readyz", "/metrics", "/api/v1/incidents"):
                seen[path] = text(address, path)

        setting.run(parts, look)
        assert "not ready" in text(address, "/readyz")
    assert seen["/readyz"] == "ready\n"
    (served,) = json.loads(seen["/api/v1/incidents"])["incidents"]
    assert (served["container"]["name"], served["node"]) == ("shop-cart-1", "here")
    assert json.loads(setting.out.read_text()) == served
    labels = 'container="shop-cart",namespace="",pod=""'  # its service's: it is one series
    service = 'workload="shop-cart"'
    metrics = seen["/metrics"].splitlines()
    assert f'container_oomkill_total{{{labels},scope="container",{service}}} 0.0' in metrics
    assert f'container_oomkill_total{{{labels},scope="node",{service}}} 1.0' in metrics
    # The one recorded came before the count was read, and is one of the three.
    assert f"container_oomkill_earlier_kills{{{labels}}} 2.0" in metrics
    assert 'container_oomkill_queue_limit{queue="log"} 1000.0' in metrics
    assert 'container_oomkill_queue_limit{queue="history"} 1000.0' in metrics
    assert (
        capsys.readouterr().err
        == f"container-oomkill: attached with fentry, listening on {address}\n"
    )
    with setting.parts(history=str(history)) as again:
        kept = again.exporter.history.newest()
        assert kept is not None
        assert kept.id == served["id"]


def test_kills_by_others_are_served_logged_and_kept(setting: Setting) -> None:
    history = setting.folder / "history"
    ended = kill_bytes(target=CGROUP, sender=CGROUP, target__pid=41, target__comm=b"app")
    setting.hooks.killers = Signals(ended)
    seen: dict[str, str] = {}
    with setting.parts(log_incidents="json", history=str(history)) as parts:
        (address,) = parts.exporter.addresses
        setting.run(parts, lambda: seen.update(kills=text(address, "/api/v1/kills")))
    (served,) = json.loads(seen["kills"])["kills"]
    assert (served["container"]["name"], served["target"]["command"]) == ("shop-cart-1", "app")
    logged = [json.loads(line) for line in setting.out.read_text().splitlines()]
    assert sorted(each["kind"] for each in logged) == ["kill", "oom"]
    assert served in logged
    with setting.parts(history=str(history)) as again:
        assert [each.id for each in again.exporter.kills.newest_first()] == [served["id"]]
    assert json.loads((setting.folder / "history.kills").read_text())["id"] == served["id"]


def test_what_is_stuck_is_served_logged_and_kept(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    history = setting.folder / "history"
    path = f"{C}\0docker\0".encode()
    since = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 10 * 10**9
    ring = setting.hooks.recorder = Records(stuck_bytes(began_ns=since, path=path))
    seen: dict[str, str] = {}

    def end() -> None:
        ring.records.append(
            stuck_bytes(began_ns=since, seconds=9, state=lib.OOMKILL_STUCK_ENDED, path=b"")
        )

    with setting.parts(log_incidents="json", history=str(history)) as parts:
        (address,) = parts.exporter.addresses

        def look() -> None:
            name = "over" if seen else "now"
            seen[name] = text(address, "/api/v1/stuck")
            seen[f"{name} counted"] = text(address, "/metrics")
            end() if name == "now" else setting.hooks.stop.set()

        setting.hooks._on_wait = look
        parts.run(setting.hooks.stop)
    (now,) = json.loads(seen["now"])["stuck"]
    (over,) = json.loads(seen["over"])["stuck"]
    assert now["container"]["name"] == over["container"]["name"] == "shop-cart-1"
    assert (now["stuck"]["ended"], over["stuck"]["ended"]) == (False, True)
    assert now["stuck"]["seconds"] >= 10  # until it was asked for
    assert over["stuck"]["seconds"] == 9
    assert "container_oomkill_stuck_now{" in seen["now counted"]
    assert "container_oomkill_stuck_now{" not in seen["over counted"]
    logged = [json.loads(line) for line in setting.out.read_text().splitlines()]
    assert [each for each in logged if each["kind"] == "stuck"] == [over]
    assert "shop-cart-1 is stuck: " in capsys.readouterr().err
    kept = json.loads((setting.folder / "history.stuck").read_text())
    assert kept["id"] == over["id"]
    setting.hooks.recorder = Records()
    with setting.parts(history=str(history)) as again:
        assert [each.id for each in again.exporter.stuck.newest_first()] == [over["id"]]


def test_privileges_end_after_binding_and_before_any_thread(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process's once, with the kernel told of earlier kills; then each serving thread's."""
    steps: list[tuple[str, set[str]]] = []

    def dropped(whose: str) -> Callable[..., None]:
        return lambda **_: steps.append((whose, set(threads())))

    before = set(threads())
    monkeypatch.setattr(privileges, "drop_process", dropped("process"))
    monkeypatch.setattr(privileges, "drop_thread", dropped("thread"))
    with setting.parts(keep_privileges=False, log_incidents="off") as parts:
        eventually(lambda: len(steps) > 1)
        assert parts.exporter.addresses
    assert steps[0][0] == "process"
    assert steps[0][1] <= before  # one of a test before this may just be ending
    assert {whose for whose, _ in steps[1:]} == {"thread"}
    assert setting.hooks.entered == [(CGROUP, setting.hooks.entered[0][1], 3, 0)]


def test_what_cannot_be_made_leaves_nothing_behind(setting: Setting) -> None:
    before = threads()
    (setting.folder / "history").write_text("another program's")
    for changes in (
        {"history": str(setting.folder / "history")},
        {"listen_addresses": ("127.0.0.1:0", "nonsense:x")},
    ):
        with pytest.raises(UsageError):
            setting.parts(**changes)
        # The kernel may show one that is over for a moment; so it may one of a test before this.
        eventually(lambda: threads() <= before)


def test_the_web_server_is_closed_first(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    for kind in (Exporter, BufferedSink, ContainerDiscovery):

        def close(part: Any, kind: Any = kind, close: Callable[[Any], None] = kind.close) -> None:
            closed.append(kind.__name__)
            close(part)

        monkeypatch.setattr(kind, "close", close)
    parts = setting.parts(log_incidents="text", history=str(setting.folder / "history"))
    (address,) = parts.exporter.addresses
    setting.run(parts, lambda: None)
    parts.close()
    log, history = "BufferedSink", "BufferedSink"
    assert closed == ["Exporter", log, "ContainerDiscovery", history, "Exporter"]
    with pytest.raises(OSError, match="refused"):
        ask(address, get("/healthz"))


def test_a_log_that_broke_is_not_tried_again_at_the_end(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    abandoned: list[bool] = []
    monkeypatch.setattr(standard_streams, "abandon_stdout", lambda: abandoned.append(True))
    setting.stdout = Path("/dev/full").open("w")  # noqa: SIM115 - as its log
    with setting.parts(log_incidents="json") as parts:

        def look() -> None:
            (log,) = parts._queues.incidents
            eventually(lambda: log.broken)

        setting.run(parts, look)
        lost = 'container_oomkill_lost_total{reason="log"} 1'
        assert lost in text(parts.exporter.addresses[0], "/metrics")
    assert abandoned == [True]
    assert "stopped logging incidents: no space left on device" in capsys.readouterr().err


def test_whoever_is_asked_in_the_background_is_shown(setting: Setting) -> None:
    with setting.parts(docker_socket=str(setting.folder / "nobody")) as parts:
        assert "container_oomkill_queue_length" in text(parts.exporter.addresses[0], "/metrics")
        assert len(parts.exporter._names) == 2
