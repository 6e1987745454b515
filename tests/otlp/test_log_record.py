# SPDX-License-Identifier: Apache-2.0
"""An incident as a LogRecord: what OpenTelemetry's own messages make of it."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.errors import UsageError
from container_oomkill.exporter.settings import ExporterSettings
from container_oomkill.otlp.log_record import NAMESPACE, log_record, uid
from container_oomkill.otlp.other_records import kill_log_record
from container_oomkill.otlp.resource import resource
from container_oomkill.otlp.settings import OtlpSettings
from container_oomkill.sinks.record import from_object

from ..support.incidents import HOSTILE, MIB, container, incident, victim
from ..support.receiver import attributes

DOCUMENT = Path(__file__).parents[2] / "docs" / "otlp.md"
POD_UID = "f3c2e1d0-aaaa-4bbb-8ccc-0123456789ab"


def of(**changes: Any) -> dict[str, Any]:
    return attributes(log_record(explain(incident(**changes))))


def test_what_a_record_says() -> None:
    one = explain(
        incident(
            3,
            container=container("app", pod_uid=POD_UID, workload="Deployment/cart"),
            victims=(victim(cmdline="python3 -m app"), victim(pid=4)),
        )
    )
    record = log_record(one)
    assert record["timeUnixNano"] == "1790000003500000000"
    assert record["observedTimeUnixNano"] == record["timeUnixNano"]
    assert (record["severityNumber"], record["severityText"]) == (17, "ERROR")
    assert record["eventName"] == "container_oomkill.oom"
    assert record["body"] == {"stringValue": f"shop/cart-7d9f4/app: {one.verdict}"}
    found = attributes(record)
    assert from_object(json.loads(found.pop("container_oomkill.record"))) == one
    assert found == {
        "log.record.uid": uid(one),
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "cart-7d9f4",
        "k8s.pod.uid": POD_UID,
        "k8s.container.name": "app",
        "k8s.deployment.name": "cart",
        "container.id": "ab" * 32,
        "container.runtime.name": "containerd",
        "container.image.name": "registry/cart",
        "container.image.tags": ["1.2"],
        "process.pid": 4711,
        "process.vpid": 7,
        "process.parent_pid": 1,
        "process.title": "python3",
        "process.command_line": "python3 -m app",
        "process.user.id": 0,
        "process.linux.cgroup": "/kubepods/pod1/" + "ab" * 32,
        "process.creation.time": "2026-09-21T14:13:17.250000Z",
        "container_oomkill.workload": "Deployment/cart",
        "container_oomkill.kind": "oom",
        "container_oomkill.incident": one.id,
        "container_oomkill.scope": "container",
        "container_oomkill.inferred": False,
        "container_oomkill.victims": 2,
        "container_oomkill.usage_bytes": 128 * MIB,
        "container_oomkill.limit_bytes": 128 * MIB,
        "container_oomkill.trigger.pid": 4712,
        "container_oomkill.trigger.command": "gunicorn",
        "container_oomkill.hook": "fentry",
    }


def test_what_is_unknown_is_left_out() -> None:
    found = of(domain=None, scope="node", container=container(None, id=None, image=None, pod=None))
    assert not [key for key in found if key.startswith(("k8s.pod", "container.image"))]
    assert "container_oomkill.limit_bytes" not in found
    assert None not in found.values()


@pytest.mark.parametrize(
    ("scope", "severity"),
    [
        *(("container", 17), ("pod", 17), ("cgroup", 17), (None, 17)),
        *(("node", 21), ("cpuset", 21), ("mempolicy", 21), ("manual", 13)),
    ],
)
def test_severity(scope: str | None, severity: int) -> None:
    assert log_record(incident(scope=scope))["severityNumber"] == severity


@pytest.mark.parametrize(
    ("image", "name", "tags", "digests"),
    [
        ("cart", "cart", None, None),
        ("cart:1", "cart", ["1"], None),
        ("host:5000/cart", "host:5000/cart", None, None),
        ("host:5000/a/cart:1", "host:5000/a/cart", ["1"], None),
        ("h/cart@sha256:ab", "h/cart", None, ["h/cart@sha256:ab"]),
        ("h/cart:1@sha256:ab", "h/cart", ["1"], ["h/cart@sha256:ab"]),
    ],
)
def test_image(image: str, name: str, tags: list[str] | None, digests: list[str] | None) -> None:
    found = of(container=container("app", image=image))
    assert found["container.image.name"] == name
    assert found.get("container.image.tags") == tags
    assert found.get("container.image.repo_digests") == digests


def test_outside_a_cluster_it_is_a_container_by_its_name() -> None:
    found = of(container=container("web", namespace=None, pod=None, runtime="docker"))
    assert found["container.name"] == "web"
    assert not [key for key in found if key.startswith("k8s.")]


def test_the_uid_is_of_the_incident_and_of_nothing_else() -> None:
    one = incident(3)
    assert uid(one) == str(uuid.uuid5(uuid.UUID(bytes=NAMESPACE), f"node-1/{one.id}"))
    assert uid(one) == uid(explain(incident(3, time=one.time + 0.1, verdict="other words")))
    others = (incident(4), incident(3, boot_ns=7), incident(3, node="node-2"))
    assert len({uid(each) for each in (one, *others)}) == 4


def test_hostile_names_stay_data() -> None:
    record = log_record(explain(incident(container=container(HOSTILE, pod=HOSTILE))))
    assert attributes(json.loads(json.dumps(record)))["k8s.pod.name"] == HOSTILE
    body = record["body"]["stringValue"]
    assert "\x1b" not in body
    assert "\u202e" not in body


def test_resource() -> None:
    environ = {
        "OTEL_RESOURCE_ATTRIBUTES": "k8s.cluster.name=prod%20eu,host.name=h",
        "OTEL_SERVICE_NAME": "oom",
    }
    found = attributes(resource(node="n", version="1.2.3", cluster_node="n.k8s", environ=environ))
    assert found.pop("os.version")
    assert found == {
        "service.name": "oom",
        "service.version": "1.2.3",
        "service.instance.id": "n",
        "host.name": "h",
        "k8s.node.name": "n.k8s",
        "k8s.cluster.name": "prod eu",
        "os.type": "linux",
    }
    with pytest.raises(UsageError, match="OTEL_RESOURCE_ATTRIBUTES: expected NAME=VALUE"):
        resource(
            node="n",
            version="1",
            cluster_node=None,
            environ={"OTEL_RESOURCE_ATTRIBUTES": "nonsense"},
        )


def test_the_document_has_every_attribute() -> None:
    """docs/otlp.md has a table: attributes there, and there alone, begin a row."""
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = set(re.findall(r"(?m)^\| `([a-z0-9_.]+)` \|", text))
    source = Path(log_record.__code__.co_filename).read_text(encoding="utf-8")
    source += Path(kill_log_record.__code__.co_filename).read_text(encoding="utf-8")
    source += Path(resource.__code__.co_filename).read_text(encoding="utf-8")
    named = set(
        re.findall(r'"((?:k8s|container|process|log|host|os|service)\.[a-z0-9_.]+)"', source)
    )
    own = {f"container_oomkill.{name}" for name in re.findall(r'OWN \+ "([a-z_.]+)"', source)}
    events = {f"container_oomkill.{kind}" for kind in ("oom", "kill", "stuck")}
    assert rows - events == named | own
    assert events <= rows


def settings(environ: dict[str, str] | None = None, **options: Any) -> OtlpSettings | None:
    return OtlpSettings.from_options(ExporterSettings(**options), environ or {})


def variables(**values: str) -> dict[str, str]:
    return {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        (variables(ENDPOINT="http://c:4318"), "http://c:4318/v1/logs"),
        (variables(ENDPOINT="http://c:4318/otlp/"), "http://c:4318/otlp/v1/logs"),
        (variables(LOGS_ENDPOINT="http://c/x", ENDPOINT="http://d"), "http://c/x"),
        (variables(ENDPOINT=""), None),
        (variables(ENDPOINT="http://c") | {"OTEL_SDK_DISABLED": "true"}, None),
        (variables(ENDPOINT="http://c") | {"OTEL_LOGS_EXPORTER": "none"}, None),
    ],
)
def test_endpoints_of_the_environment(environ: dict[str, str], url: str | None) -> None:
    found = settings(environ)
    assert (found and found.url) == url
    given = settings(environ, otlp_endpoint="https://ours:4318")
    assert given is not None
    assert given.url == "https://ours:4318/v1/logs"


def test_the_rest_of_the_environment() -> None:
    environ = variables(
        ENDPOINT="https://c",
        PROTOCOL="grpc",
        LOGS_PROTOCOL="http/json",
        HEADERS="a=1",
        LOGS_HEADERS="b=2",
        CERTIFICATE="ca",
        CLIENT_CERTIFICATE="cert",
        CLIENT_KEY="key",
        COMPRESSION="none",
        TIMEOUT="2500",
    )
    assert settings(environ) == OtlpSettings(
        url="https://c/v1/logs",
        where="OTEL_EXPORTER_OTLP_ENDPOINT",
        headers="b=2",
        ca_file="ca",
        cert_file="cert",
        key_file="key",
        gzip=False,
        seconds=2.5,
    )
    ours = settings(environ, otlp_ca_file="ours", otlp_compression="gzip", otlp_timeout=4.0)
    assert ours is not None
    assert (ours.ca_file, ours.gzip, ours.seconds) == ("ours", True, 4.0)


@pytest.mark.parametrize(
    ("environ", "options", "words"),
    [
        (variables(ENDPOINT="c:4317"), {}, "OTEL_EXPORTER_OTLP_ENDPOINT: expected http://"),
        ({}, {"otlp_endpoint": "c:4318"}, "--otlp.endpoint: expected http://HOST:PORT or https://"),
        (
            variables(ENDPOINT="http://c", PROTOCOL="grpc"),
            {},
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: only http/json is sent: set ",
        ),
        (
            variables(ENDPOINT="http://c", LOGS_COMPRESSION="zstd"),
            {},
            "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION=zstd: expected gzip or none",
        ),
        (variables(ENDPOINT="http://c", TIMEOUT="10s"), {}, "TIMEOUT=10s: expected milliseconds"),
        ({}, {"otlp_ca_file": "ca"}, "--otlp.ca-file needs --otlp.endpoint too"),
    ],
)
def test_what_cannot_be_is_one_line(
    environ: dict[str, str], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError) as error:
        settings(environ, **options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
