# SPDX-License-Identifier: Apache-2.0
"""The resource: the node, and the process that reports. Whose memory it was is in each record.

A collector's k8sattributes processor may add the exporter's own pod to it; the victim's pod is an
attribute of the record, which is never overwritten by that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ..errors import UsageError
from .log_record import attributes

SERVICE = "container-oomkill"
# Of the conventions whose names are used here and in log_record.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.43.0"
VARIABLE = "OTEL_RESOURCE_ATTRIBUTES"


def resource(
    *, node: str, version: str, cluster_node: str | None, environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Return the message; ``cluster_node``: what the cluster calls this node.

    OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME add to it, and take precedence. `UsageError`.
    """
    ours = {
        "service.name": SERVICE,
        "service.version": version,
        "service.instance.id": node,
        "host.name": node,
        "k8s.node.name": cluster_node,
        "os.type": "linux",
        "os.version": os.uname().release,
    }
    given = pairs(environ.get(VARIABLE, ""), VARIABLE)
    if name := environ.get("OTEL_SERVICE_NAME"):
        given["service.name"] = name
    return {"attributes": attributes({**ours, **given})}


def pairs(text: str, where: str) -> dict[str, str]:
    """Return ``NAME=VALUE,...``, percent-decoded, as OTEL_ variables have them. `UsageError`.

    A value may be a secret, so it is not repeated.
    """
    found = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{where}: expected NAME=VALUE,NAME=VALUE")
        found[name.strip()] = unquote(value.strip())
    return found
