# SPDX-License-Identifier: Apache-2.0
"""What a message may say: the fields of a template, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..incident.model import Incident
from ..otlp.log_record import uid
from ..sinks.names import full_name, name_of, what_ran_out
from ..sinks.record import rfc3339, to_object
from ..units import MIB


@dataclass(frozen=True, slots=True)
class Message:
    """The kills of one container that are told at once; ``incident``: the last of them."""

    incident: Incident
    count: int = 1
    first: float = 0.0  # seconds since the epoch

    @property
    def id(self) -> str:
        """The same whenever this is sent again; with one kill more it is another message."""
        return uid(self.incident)


def _title(message: Message) -> str:
    how = f"{message.count} times" if message.count > 1 else ""
    return " ".join(filter(None, (full_name(message.incident), "was OOM-killed", how)))


def _victim(name: str) -> Callable[[Message], Any]:
    def value(message: Message) -> Any:
        victims = message.incident.victims
        return getattr(victims[0], name) if victims else None

    return value


def _domain(name: str) -> Callable[[Message], Any]:
    def value(message: Message) -> Any:
        domain = message.incident.domain
        return None if domain is None else getattr(domain, name)

    return value


def _limit_mib(message: Message) -> int | None:
    limit = _domain("limit_bytes")(message)
    return None if limit is None else round(limit / MIB)


# THE table, in the document's order. PagerDuty has critical, error, warning, info.
FIELDS: Mapping[str, Callable[[Message], Any]] = {
    "id": lambda m: m.id,
    "title": _title,
    "verdict": lambda m: m.incident.verdict or what_ran_out(m.incident),
    "what": lambda m: what_ran_out(m.incident),
    "severity": lambda m: "critical" if m.count > 1 or m.incident.scope == "node" else "error",
    "count": lambda m: m.count,
    "first_time": lambda m: rfc3339(m.first),
    "time": lambda m: rfc3339(m.incident.time),
    "node": lambda m: m.incident.node,
    "scope": lambda m: m.incident.scope,
    "name": lambda m: full_name(m.incident),
    "namespace": lambda m: m.incident.container.namespace,
    "pod": lambda m: m.incident.container.pod,
    "container": lambda m: name_of(m.incident),
    "container_id": lambda m: m.incident.container.id,
    "workload": lambda m: m.incident.container.workload or m.incident.container.service,
    "image": lambda m: m.incident.container.image,
    "command": _victim("command"),
    "pid": _victim("pid"),
    "trigger_command": lambda m: m.incident.trigger.command,
    "usage_bytes": _domain("usage_bytes"),
    "limit_bytes": _domain("limit_bytes"),
    "limit_mib": _limit_mib,
    "shape": lambda m: None if m.incident.before is None else m.incident.before.shape,
    "incident": lambda m: m.incident.id,
    "record": lambda m: to_object(m.incident),
}
URL = "url"  # of the incident's page; known with --web.external-url
SECRET = "secret."  # noqa: S105 - what the names of fields from files begin with


def values(
    message: Message, *, external_url: str | None, secrets: Mapping[str, str]
) -> dict[str, Any]:
    """Return all of them; None: unknown."""
    found = {name: of(message) for name, of in FIELDS.items()}
    found[URL] = None
    if external_url:
        found[URL] = f"{external_url.rstrip('/')}/incidents/{message.incident.id}"
    return found | {SECRET + name: secret for name, secret in secrets.items()}
