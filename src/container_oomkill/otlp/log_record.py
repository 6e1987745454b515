# SPDX-License-Identifier: Apache-2.0
"""An incident as a LogRecord, in the JSON form of opentelemetry-proto's logs.proto.

Attributes have the names of OpenTelemetry's semantic conventions where there is one, and else begin
with ``container_oomkill.``: docs/otlp.md has the table. What is unknown is left out. The whole
record is one of them, as JSON text: as a map it would be some 200 attributes, more than most stores
take of one log line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from math import isinf
from typing import Any

from ..incident.model import Container, Incident, Victim
from ..sinks import json_lines
from ..sinks.names import full_name, name_of, what_ran_out
from ..sinks.printable import printable
from ..sinks.record import rfc3339

NAMESPACE = bytes.fromhex("d9c8ac8c8f0b5f0c8d3c1d0bd3b8e4f5")  # of our UUIDs; RFC 9562, 5.5
OWN = "container_oomkill."
KIND = "oom"
EVENT = OWN + KIND
RECORD = OWN + "record"
# Severity number and text, by scope (opentelemetry-proto's SeverityNumber).
ERROR, FATAL, WARN = (17, "ERROR"), (21, "FATAL"), (13, "WARN")
SEVERITIES = {"node": FATAL, "cpuset": FATAL, "mempolicy": FATAL, "manual": WARN}
WORKLOADS = {
    "Deployment": "k8s.deployment.name",
    "StatefulSet": "k8s.statefulset.name",
    "DaemonSet": "k8s.daemonset.name",
    "ReplicaSet": "k8s.replicaset.name",
    "Job": "k8s.job.name",
    "CronJob": "k8s.cronjob.name",
}

Value = str | int | float | bool | list[str] | None


def uid(incident: Incident) -> str:
    """Return a UUID of version 5: the same whenever, and by whatever process, it is sent."""
    return uid_of(incident.node, incident.id)


def uid_of(node: str, name: str) -> str:
    """``name``: what it is called on that node, among records of all kinds."""
    whole = NAMESPACE + f"{node}/{name}".encode()
    digest = bytearray(hashlib.sha1(whole, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def log_record(incident: Incident) -> dict[str, Any]:
    """Return it as json.dumps takes it: the same whenever it is sent, by whatever process."""
    severity = SEVERITIES.get(incident.scope or "", ERROR)
    return made(EVENT, incident.time, severity, body(incident), dict(_attributes(incident)))


def made(
    event: str, at: float, severity: tuple[int, str], text: str, values: dict[str, Value]
) -> dict[str, Any]:
    """Return a LogRecord; ``at``: seconds since the epoch, ``severity``: its number and text.

    Its source's time is also when it was observed: Loki takes two records for one only where all of
    them is the same.
    """
    return {
        "timeUnixNano": _nanoseconds(at),
        "observedTimeUnixNano": _nanoseconds(at),
        "severityNumber": severity[0],
        "severityText": severity[1],
        "eventName": event,
        "body": {"stringValue": text},
        "attributes": attributes(values),
    }


def body(incident: Incident) -> str:
    """Return whose it was, and the verdict."""
    return printable(f"{full_name(incident)}: {incident.verdict or what_ran_out(incident)}")


def attributes(values: dict[str, Value]) -> list[dict[str, Any]]:
    """Return KeyValue messages of what is known."""
    return [
        {"key": key, "value": _any_value(value)}
        for key, value in values.items()
        if value is not None and value != [] and not (isinstance(value, float) and isinf(value))
    ]


def _any_value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        # 64 bits are text in the JSON form; what is larger than int64 is none of OTLP's integers.
        return {"intValue": str(value)} if -(1 << 63) <= value < 1 << 63 else _any_value(str(value))
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any_value(each) for each in value]}}
    return {"stringValue": value}


def _attributes(incident: Incident) -> Iterator[tuple[str, Value]]:
    yield "log.record.uid", uid(incident)
    yield from container_attributes(incident.container, name_of(incident))
    if incident.victims:
        yield from _of_victim(incident.victims[0])
    yield from _of_kill(incident)
    yield RECORD, json_lines.render(incident)


def container_attributes(container: Container, name: str | None) -> Iterator[tuple[str, Value]]:
    """Yield whose it was; ``name``: what it is called, if it has no name of its own."""
    in_pod = container.pod is not None
    yield "k8s.namespace.name", container.namespace
    yield "k8s.pod.name", container.pod
    yield "k8s.pod.uid", container.pod_uid
    yield "k8s.container.name", container.name if in_pod else None
    yield "container.name", None if in_pod else name
    yield "container.id", container.id
    yield "container.runtime.name", container.runtime
    yield from _of_image(container)
    kind, _, workload = (container.workload or "").partition("/")
    if kind in WORKLOADS and workload:
        yield WORKLOADS[kind], workload
    yield OWN + "workload", container.workload or container.service


def _of_image(container: Container) -> Iterator[tuple[str, Value]]:
    """NAME[:TAG][@DIGEST]; a port in the name has a slash behind it, a tag has none."""
    if not container.image:
        return
    name, _, digest = container.image.partition("@")
    before, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = before
        yield "container.image.tags", [tag]
    yield "container.image.name", name
    if digest:
        yield "container.image.repo_digests", [f"{name}@{digest}"]


def _of_victim(victim: Victim) -> Iterator[tuple[str, Value]]:
    yield "process.pid", victim.pid
    yield "process.vpid", victim.pid_in_container
    yield "process.parent_pid", victim.ppid
    # comm, which ps and top show; process.executable.name would be of /proc/PID/exe.
    yield "process.title", victim.command
    yield "process.command_line", victim.cmdline
    yield "process.user.id", victim.uid
    yield "process.linux.cgroup", victim.cgroup
    if victim.started_at is not None:
        yield "process.creation.time", rfc3339(victim.started_at)


def _of_kill(incident: Incident) -> Iterator[tuple[str, Value]]:
    domain, before, trigger = incident.domain, incident.before, incident.trigger
    # Again, for who does not keep the record's EventName: Loki.
    yield OWN + "kind", KIND
    yield OWN + "incident", incident.id
    yield OWN + "scope", incident.scope
    yield OWN + "inferred", incident.inferred
    yield OWN + "victims", incident.kills
    if domain is not None:
        yield OWN + "usage_bytes", domain.usage_bytes
        yield OWN + "limit_bytes", domain.limit_bytes
    if before is not None:
        yield OWN + "shape", before.shape
        yield OWN + "growth_bytes_per_second", before.growth_bytes_per_second
    yield OWN + "trigger.pid", trigger.pid
    yield OWN + "trigger.command", trigger.command
    yield OWN + "hook", incident.hook
    yield OWN + "message", incident.message


def _nanoseconds(seconds: float) -> str:
    # A double has 200 ns or so of today's times: what the record has is microseconds.
    return str(round(seconds * 1e6) * 1000)
