# SPDX-License-Identifier: Apache-2.0
"""What stands beside a body: CloudEvents' attributes, and a signature by Standard Webhooks.

CloudEvents 1.0 in its binary mode: the body stays as the receiver wants it. The signature is HMAC
with SHA-256 of id, time and body, as standardwebhooks.com has it: there are libraries that verify
it, and with the time in it a request that was listened to cannot be sent again later.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import quote

from ..errors import UsageError
from ..sinks.names import full_name
from ..sinks.record import rfc3339
from .fields import Message

TYPE = "container-oomkill.oom"
PREFIX = "whsec_"  # of a secret whose rest is base64
MEDIA = "application/json"


def event_headers(message: Message) -> dict[str, str]:
    """Return the attributes; a name may have any character, and a header may not."""
    return {
        "Content-Type": MEDIA,
        "ce-specversion": "1.0",
        "ce-id": message.id,
        "ce-type": TYPE,
        "ce-source": f"/container-oomkill/nodes/{quote(message.incident.node, safe='')}",
        "ce-subject": quote(full_name(message.incident), safe="/")[:1024],
        "ce-time": rfc3339(message.incident.time),
    }


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for. Raises `UsageError`."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"what follows {PREFIX} is not base64") from None


def signature_headers(key: bytes, name: str, at: float, body: bytes) -> dict[str, str]:
    """``name``: the message's id; ``at``: now, seconds since the epoch."""
    seconds = str(int(at))
    signed = b".".join((name.encode(), seconds.encode(), body))
    digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "webhook-id": name,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{digest}",
    }
