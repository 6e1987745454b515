# SPDX-License-Identifier: Apache-2.0
"""A webhook by its configuration, with a receiver's address, that waits for nothing long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from container_oomkill.sending.counts import Counts
from container_oomkill.sending.waiting import MemoryQueue, Queue
from container_oomkill.system.backoff import Backoff
from container_oomkill.webhook.config import Webhook, read
from container_oomkill.webhook.sender import WebhookSender


def configured(folder: Path, **entry: Any) -> Webhook:
    """The one webhook of a file; ``entry``: its fields, None: without it."""
    values = {"name": "chat", "url": "http://127.0.0.1:9/hook", "template": "generic", **entry}
    file = folder / "webhooks.yml"
    given = {name: value for name, value in values.items() if value is not None}
    file.write_text(yaml.safe_dump({"webhooks": [given]}))
    (found,) = read(str(file))
    return found


def sender(
    webhook: Webhook, queue: Queue | None = None, *, backoff: Backoff | None = None, **more: Any
) -> WebhookSender:
    """Not started."""
    counts = Counts()
    return WebhookSender(
        webhook,
        queue or MemoryQueue(256, lambda many: counts.dropped("queue_full", many)),
        version="1.2.3",
        counts=counts,
        backoff=backoff or Backoff(first=0.02, most=0.1),
        **more,
    )
