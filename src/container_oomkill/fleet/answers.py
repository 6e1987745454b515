# SPDX-License-Identifier: Apache-2.0
"""Takes an exporter's answer, gives its records: what decides which are wanted, and the bytes.

A record is read whole only when it has been chosen: a cluster has many more than fit a screen, and
what is passed on to a program keeps keys that this version does not know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ..errors import RecordError
from ..incident.model import Incident
from ..kubernetes.errors import ApiError
from ..kubernetes.objects import decode
from ..sinks.record import from_object


class _Container(msgspec.Struct):
    namespace: str | None = None
    pod: str | None = None


class _Head(msgspec.Struct):
    id: str
    time: str
    container: _Container | None = None


class _Answer(msgspec.Struct):
    incidents: list[msgspec.Raw]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One record; ``node``: whose exporter answered; ``time``: seconds since the epoch."""

    time: float
    id: str
    node: str
    namespace: str | None
    pod: str | None
    data: bytes

    def incident(self) -> Incident:
        """Return it whole. Raises `RecordError`."""
        try:
            return from_object(json.loads(self.data))
        except (ValueError, RecursionError) as error:
            raise RecordError(f"not JSON ({error})") from None


def read_answer(node: str, data: bytes) -> tuple[list[Found], bool]:
    """Return the records of one page, and whether there is another. Raises `ApiError`."""
    answer = decode(data, _Answer)
    found = []
    for record in answer.incidents:
        head = decode(record, _Head)
        container = head.container or _Container()
        try:
            moment = datetime.fromisoformat(head.time)
            if moment.tzinfo is None:
                raise ValueError("time zone missing")
            time = moment.timestamp()
        except (ValueError, OverflowError):
            raise ApiError(f"unexpected response: time {head.time[:40]!r}") from None
        # The bytes alone: a Raw would keep the whole answer.
        found.append(Found(time, head.id, node, container.namespace, container.pod, bytes(record)))
    return found, answer.next is not None
