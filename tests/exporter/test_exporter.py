# SPDX-License-Identifier: Apache-2.0
"""The exporter as a whole: options, signs of life, the service manager, what it imports when."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from container_oomkill.errors import Error, UsageError
from container_oomkill.exporter.exporter import SILENT_SECONDS, Exporter, ExporterSettings, options
from container_oomkill.identity.metadata import ContainerMetadata
from container_oomkill.identity.resolver import Resolver
from container_oomkill.identity.store import Store
from container_oomkill.incident.model import Container
from container_oomkill.system.sd_notify import Notifier

from ..support.certificates import make_certificate
from ..support.incidents import Clock, FakeProbe, incident
from ..support.scraping import value
from ..support.waiting import PATIENCE_SECONDS
from ..support.web_config import web_config


def settings(*arguments: str) -> ExporterSettings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    options(parser)
    return ExporterSettings.from_options(vars(parser.parse_args(arguments)))


def make(**changes: object) -> Exporter:
    values: dict[str, object] = {"version": "1", "render": str, "notifier": Notifier({})}
    one = ExporterSettings(listen_addresses=("127.0.0.1:0",))
    return Exporter(one, FakeProbe(), **(values | changes))  # type: ignore[arg-type]


def test_options_by_default_are_the_settings_by_default() -> None:
    assert settings() == ExporterSettings()


def test_options() -> None:
    given = settings(
        "--web.listen-address=:1",
        "--web.listen-address=unix:/x",
        "--web.max-requests=3",
        "--metrics.expiry=30m",
        "--metrics.max-containers=7",
        "--log.incidents=off",
        "--history=/x",
        "--history.max-bytes=65536",
    )
    assert given.listen_addresses == (":1", "unix:/x")
    assert (given.max_requests, given.expiry_seconds, given.max_containers) == (3, 1800.0, 7)
    assert given.log_incidents == "off"
    assert (given.history, given.history_max_bytes) == ("/x", 65536)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600), ("2d", 172800)]
)
def test_times(text: str, seconds: float) -> None:
    assert settings(f"--metrics.expiry={text}").expiry_seconds == seconds


@pytest.mark.parametrize(
    "argument",
    ["--metrics.expiry=" + text for text in ("", "0", "h", "-1s", "1w", "1.5h", "9" * 99)]
    + ["--web.max-requests=0", "--metrics.max-containers=x", "--log.incidents=xml"],
)
def test_options_that_make_no_sense(argument: str) -> None:
    with pytest.raises(argparse.ArgumentError):
        settings(argument)


@pytest.mark.parametrize("path", ["metrics", "", "/a?b", "/a b", "/../x", "/healthz", "/readyz"])
def test_telemetry_paths_that_make_no_sense(path: str) -> None:
    with pytest.raises(UsageError, match="telemetry-path"):
        settings(f"--web.telemetry-path={path}")


@pytest.mark.parametrize(
    "url",
    [
        *("", "oom.example.com", "ftp://oom.example.com", "https://", "https:///x"),
        *("https://a b/", "https://user@oom.example.com", "https://a/?b", "https://a/#b"),
        *("https://a/\n", "https://" + 251 * "a"),
    ],
)
def test_external_urls_that_make_no_sense(url: str) -> None:
    with pytest.raises(UsageError, match="external-url"):
        settings(f"--web.external-url={url}")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001/api/v1/namespaces/x/pods/y:9262/proxy", "https://[::1]:9/"]
)
def test_external_urls(url: str) -> None:
    assert settings(f"--web.external-url={url}").external_url == url


def test_silence_of_the_ring_ends_readiness() -> None:
    clock = Clock()
    exporter = make(monotonic=clock)
    assert exporter.not_ready() is not None
    exporter.ready(True)
    assert exporter.not_ready() is None
    clock.now += SILENT_SECONDS - 1
    exporter.heartbeat()
    clock.now += SILENT_SECONDS - 1
    assert exporter.not_ready() is None
    clock.now += 2
    assert exporter.not_ready() == "the ring buffer is not being read"
    exporter.heartbeat()
    assert exporter.not_ready() is None
    exporter.ready(False)
    assert exporter.not_ready() is not None


def test_a_dead_web_server_ends_the_process() -> None:
    exporter = make()
    exporter.heartbeat()
    exporter._failure = lambda: ValueError("broken")
    with pytest.raises(Error, match="web server stopped: ValueError: broken"):
        exporter.heartbeat()


def serving(**changes: Any) -> Exporter:
    return Exporter(
        ExporterSettings(**({"listen_addresses": ("127.0.0.1:0",)} | changes)),
        FakeProbe(),
        version="1",
        render=str,
        notifier=Notifier({}),
    )


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:0", "http://127.0.0.1:"),
        (":0", "http://localhost:"),
        ("[::1]:0", "http://[::1]:"),
        ("unix:{folder}/socket", None),
    ],
)
def test_where_a_browser_finds_it(address: str, url: str | None, tmp_path: Path) -> None:
    listen = address.format(folder=tmp_path)
    with serving(listen_addresses=(listen,)) as exporter:
        exporter.start()
        assert exporter.url() == (url and f"{url}{exporter.addresses[0].port}")


def test_where_a_browser_finds_it_with_tls(tmp_path: Path) -> None:
    make_certificate(tmp_path, "server")
    config = web_config(tmp_path)
    with serving(web_config_file=str(config)) as exporter:
        exporter.start()
        assert exporter.url() == f"https://127.0.0.1:{exporter.addresses[0].port}"


def test_closing_twice_and_without_start() -> None:
    exporter = make()
    exporter.close()
    exporter.start()
    exporter.sink(incident())
    exporter.close()
    exporter.close()


def test_nothing_heavy_before_attaching() -> None:
    code = (
        "import sys; before = set(sys.modules);"  # what measures coverage is there already
        "from container_oomkill.exporter import exporter; after = set(sys.modules) - before;"
        "assert not {'prometheus_client', 'selectors', 'json', 'threading'} & after"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_tls_library_without_tls() -> None:
    code = (
        "import sys; from tests.support.http_client import make_exporter;"
        "e = make_exporter(); e.start(); e.close();"
        "assert 'ssl' not in sys.modules"
    )
    folder = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE_SECONDS)
        yield listening


def test_the_service_manager_is_told(manager: socket.socket) -> None:
    notifier = Notifier(
        {
            "NOTIFY_SOCKET": manager.getsockname(),
            "WATCHDOG_USEC": "4000000",
            "WATCHDOG_PID": str(os.getpid()),
        }
    )
    exporter = make(notifier=notifier)
    assert exporter.heartbeat_seconds == 2.0
    exporter.ready(True)
    exporter.ready(True)
    exporter.close()
    got: list[bytes] = []
    while not got or got[-1] != b"STOPPING=1\n":
        got.append(manager.recv(4096))
    ready = b"READY=1\nSTATUS=watching the OOM killer with fentry\n"
    assert got == [b"WATCHDOG=1\n", ready, b"WATCHDOG=1\n", b"STOPPING=1\n"]


def test_a_watchdog_of_another_process_is_not_ours(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "2000000"}
    assert Notifier(environ | {"WATCHDOG_PID": "1"}).watchdog_seconds is None
    assert Notifier(environ).watchdog_seconds == 1.0


@pytest.mark.parametrize("address", ["", "/nonexistent/socket", "@nobody-listens", "vsock:2:1"])
def test_no_manager_no_harm(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready()
    notifier.alive()
    notifier.stopping()


class Names:
    """Stands for a resolver that knows a container by its id alone."""

    def __init__(self, container_id: str) -> None:
        self.container_id = container_id

    def container(self, _: str) -> Container:
        return Container(id=self.container_id)


@pytest.mark.parametrize(
    ("container_id", "label"),
    [
        ("0123456789abcdef" * 4, "0123456789ab"),
        ("x3k9f0v2m7q1w8e4r5t6y7u8i", "x3k9f0v2m7q1w8e4r5t6y7u8i"),  # BuildKit's
        ("9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8", "9f1a2b3c-0d4e-5f60-7182-93a4b5c6d7e8"),
    ],
)
def test_earlier_kills_are_filed_under_the_label_of_those_told(
    container_id: str, label: str
) -> None:
    with make() as exporter:
        names = cast("Resolver", Names(container_id))
        one = incident(1, container=Container(id=container_id))
        counted = [("/", 1, 9, one.boot_ns), (f"/x/{container_id}", 2, 3, one.boot_ns)]
        exporter.earlier(counted, names)
        exporter.sink(one)
        shown = {
            sample.labels["container"]
            for family in exporter.metrics.collect()
            if family.name in ("container_oomkill", "container_oomkill_earlier_kills")
            for sample in family.samples
        }
        assert shown == {label}


def test_a_containers_workload_is_told_late_and_is_the_same_series() -> None:
    """A runtime's state has it at once, the cluster's API within seconds."""
    runtime, cluster = Store(), Store()
    state = ContainerMetadata("ab" * 32, "containerd", 0, "app", pod="cart-7d9f4", namespace="shop")
    runtime.put(state)
    for pod in ("nightly-1", "nightly-2"):
        job = replace(state, id=pod, pod=pod, workload="CronJob/nightly")
        cluster.put(job)
    exporter = make()
    exporter.follow(runtime, cluster)
    name = "container_oomkill_total"
    of = {"namespace": "shop", "container": "app", "scope": "node"}
    assert value(exporter.metrics, name, pod="cart-7d9f4", workload="", **of) == 0
    assert value(exporter.metrics, name, pod="nightly", workload="CronJob/nightly", **of) == 0
    cluster.put(replace(state, runtime="", workload="Deployment/cart"))
    exporter.heartbeat()
    assert value(exporter.metrics, name, pod="cart-7d9f4", workload="Deployment/cart", **of) == 0
    runtime.gone(state.key())
    cluster.gone(state.key())
    exporter.heartbeat()
    assert value(exporter.metrics, name, pod="cart-7d9f4", **of) is None
    assert value(exporter.metrics, name, pod="nightly", **of) == 0
    exporter.close()


def test_a_queue_that_comes_in_the_middle_of_a_scrape_waits_for_the_next_one() -> None:
    """The log's comes when records can be delivered, while it is serving."""
    with make() as exporter:

        def depth() -> int:
            exporter.show_queue("log", lambda: 2, 1000)
            return 1

        exporter.show_queue("history", depth, 1000)
        assert set(exporter.metrics.facts().queues) == {"ring", "history"}
        assert exporter.metrics.facts().queues["log"] == (2, 1000)
