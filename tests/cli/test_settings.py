# SPDX-License-Identifier: Apache-2.0
"""Settings: frozen, made of the options in one place, and no further does the command line go."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import container_oomkill
from container_oomkill.cli.attaching import AttachSettings
from container_oomkill.cli.demo import DemoSettings
from container_oomkill.cli.destinations import DestinationSettings
from container_oomkill.cli.doctor import DoctorSettings
from container_oomkill.cli.explain import ExplainSettings
from container_oomkill.cli.exporter_settings import ExporterCommandSettings
from container_oomkill.cli.metadata_providers import ProviderSettings, StateSettings
from container_oomkill.cli.parser import parse
from container_oomkill.cli.probe import ProbeSettings
from container_oomkill.cli.replay import ReplaySettings
from container_oomkill.cli.show import ShowSettings
from container_oomkill.cli.unpin import UnpinSettings
from container_oomkill.exporter.settings import ExporterSettings
from container_oomkill.otlp.settings import OtlpSettings
from container_oomkill.recorder.settings import RecorderSettings
from container_oomkill.system.settings import Settings

from ..support.attach_settings import ATTACH

SOURCES = Path(container_oomkill.__file__).parent


class Example(Settings):
    must: int
    may: str | None = None


def test_settings_are_values_and_frozen() -> None:
    assert Example(must=1) == Example(may=None, must=1) != Example(must=2)
    with pytest.raises(AttributeError, match="must of Example is frozen"):
        Example(must=1).must = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="may of Example is frozen"):
        del Example(must=1).may
    with pytest.raises(TypeError, match="Example: unknown or missing: must"):
        Example()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Example: unknown or missing: other"):
        Example(must=1, other=2)  # type: ignore[call-arg]


def test_the_defaults_of_options_are_those_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_NAME", raising=False)
    assert ProbeSettings.from_args(parse(["probe"], {})) == ProbeSettings(attach=ATTACH)
    exporter = ExporterCommandSettings(attach=ATTACH, exporter=ExporterSettings())
    assert ExporterCommandSettings.from_args(parse(["exporter"], {})) == exporter
    assert DoctorSettings.from_args(parse(["doctor"], {})) == DoctorSettings()
    assert UnpinSettings.from_args(parse(["unpin"], {})) == UnpinSettings()
    assert ReplaySettings.from_args(parse(["replay", "f"], {})) == ReplaySettings(file="f")
    assert ShowSettings.from_args(parse(["show"], {})) == ShowSettings()
    assert DemoSettings.from_args(parse(["demo"], {})) == DemoSettings()
    assert ExplainSettings.from_args(parse(["explain"], {})) == ExplainSettings()


def test_without_cgroups_there_is_no_recorder() -> None:
    none = ProbeSettings.from_args(parse(["probe", "--recorder.max-cgroups", "0"], {}))
    assert none.attach.recorder is None


def test_who_else_kills_is_recorded_unless_told_otherwise() -> None:
    assert ProbeSettings.from_args(parse(["probe"], {})).attach.killers
    off = parse(["probe"], {"CONTAINER_OOMKILL_KILLERS": "off"})
    assert not ProbeSettings.from_args(off).attach.killers


def test_every_option_reaches_its_setting() -> None:
    recording = "--hook kprobe --btf b --object o --ring-bytes 16384 --pin p --cmdline --verbose"
    recording += " --oom-score-adj 7 --node n --keep-privileges --host-root h --state.docker d"
    recording += " --state.containerd c --state.crio r --state.podman p --state.docker-socket s"
    recording += " --recorder.max-cgroups 9 --recorder.interval 0.5"
    recording += " --killers off"
    recording += " --kubernetes --kubernetes.node k --kubernetes.events --kubeconfig f"
    attach = AttachSettings(
        object_file="o",
        btf="b",
        hook="kprobe",
        ring_bytes=16384,
        cmdline=True,
        debug=True,
        pin="p",
        oom_score_adj=7,
        recorder=RecorderSettings(interval_seconds=0.5, max_cgroups=9),
    )
    state = StateSettings(host_root="h", docker=["d"], containerd=["c"], crio=["r"], podman=["p"])
    providers = ProviderSettings(
        docker_socket="s",
        kubernetes=True,
        kubernetes_events=True,
        kubernetes_node="k",
        kubeconfig="f",
    )
    argv = ["probe", *recording.split(), "-o", "json", "--color", "never", "--count", "3"]
    assert ProbeSettings.from_args(parse(argv, {})) == ProbeSettings(
        attach=attach,
        state=state,
        providers=providers,
        output="json",
        colour="never",
        count=3,
        node="n",
        keep_privileges=True,
    )
    argv = ["exporter", *recording.split(), "--retry-attach", "--history", "x"]
    argv += ["--history.max-incidents", "5", "--log.queue-size", "6"]
    argv += ["--otlp.endpoint", "http://c:4318", "--otlp.headers-file", "h", "--otlp.ca-file", "a"]
    argv += ["--otlp.cert-file", "c", "--otlp.key-file", "y", "--otlp.compression", "none"]
    argv += ["--otlp.timeout", "3s", "--otlp.queue-size", "7", "--webhook.config", "w"]
    otlp: dict[str, Any] = {"ca_file": "a", "cert_file": "c", "key_file": "y"}
    otlp |= {"headers_file": "h", "queue_size": 7}
    assert ExporterCommandSettings.from_args(parse(argv, {})) == ExporterCommandSettings(
        attach=attach,
        exporter=ExporterSettings(
            history="x",
            history_max_incidents=5,
            log_queue_size=6,
            otlp_endpoint="http://c:4318",
            otlp_compression="none",
            otlp_timeout=3.0,
            webhook_config="w",
            **{f"otlp_{name}": value for name, value in otlp.items()},
        ),
        destinations=DestinationSettings(
            webhook_config="w",
            otlp=OtlpSettings(
                url="http://c:4318/v1/logs",
                where="--otlp.endpoint",
                gzip=False,
                seconds=3.0,
                **otlp,
            ),
        ),
        state=state,
        providers=providers,
        node="n",
        keep_privileges=True,
        retry_attach=True,
    )


def test_the_command_lines_namespace_ends_in_cli() -> None:
    found = {
        path.relative_to(SOURCES).parts[0]
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "Namespace")
        or (isinstance(node, ast.Name) and node.id == "Namespace")
    }
    assert found == {"cli"}
