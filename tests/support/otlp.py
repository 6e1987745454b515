# SPDX-License-Identifier: Apache-2.0
"""A sender of OTLP with a receiver's address, that waits for nothing long."""

from __future__ import annotations

from typing import Any

from container_oomkill.otlp.resource import resource
from container_oomkill.otlp.sender import OtlpSender
from container_oomkill.otlp.settings import OtlpSettings
from container_oomkill.sending.counts import Counts
from container_oomkill.sending.waiting import MemoryQueue, Queue
from container_oomkill.system.backoff import Backoff


def sender(
    url: str,
    queue: Queue | None = None,
    *,
    counts: Counts | None = None,
    backoff: Backoff | None = None,
    **settings: Any,
) -> OtlpSender:
    """Not started; ``url``: without a path."""
    counts = counts or Counts()
    values = {"url": f"{url}/v1/logs", "where": "--otlp.endpoint", "seconds": 5.0, **settings}
    return OtlpSender(
        OtlpSettings(**values),
        queue or MemoryQueue(256, lambda many: counts.dropped("queue_full", many)),
        resource(node="node-1", version="1.2.3", cluster_node="node-1.k8s", environ={}),
        version="1.2.3",
        counts=counts,
        backoff=backoff or Backoff(first=0.02, most=0.1),
    )
