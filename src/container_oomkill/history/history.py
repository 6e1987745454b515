# SPDX-License-Identifier: Apache-2.0
"""Keeps the latest incidents in memory, newest first, for the web pages and the API.

Bounded by incidents and by victims, as one group kill may have thousands.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

from ..incident.model import Incident
from ..metrics.metrics import label_values
from ..sinks.names import name_of

MAX_VICTIMS_EACH = 8  # as many per incident, on average
EPOCH_FROM = 1_000_000_000  # a number below is a sequence, one from here on a time (2001)
LIMIT = 100
TIME_MAX = 40  # characters
PREFIX_MIN = 4  # characters of an id


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for: newer than a time (epoch) or a sequence, one container, how many."""

    after_time: float | None = None
    after_sequence: int | None = None
    container: str | None = None
    limit: int = LIMIT

    def matches(self, incident: Incident) -> bool:
        if self.after_time is not None and incident.time <= self.after_time:
            return False
        if self.after_sequence is not None and incident.sequence <= self.after_sequence:
            return False
        return self.container is None or _is_container(incident, self.container)


def parse_query(values: dict[str, str], *, limit_max: int) -> Query:
    """Read ``since`` (RFC 3339, seconds since the epoch, or a sequence), ``container``, ``limit``.

    Raises `ValueError` with what is wrong.
    """
    for name in values:
        if name not in ("since", "container", "limit"):
            raise ValueError(f"unknown parameter {name!r}: expected since, container or limit")
    limit = LIMIT
    if (text := values.get("limit")) is not None:
        if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
            raise ValueError(f"limit {text[:40]!r}: expected a whole number above 0")
        limit = int(text[:9])
    after_time: float | None = None
    after_sequence: int | None = None
    if (text := values.get("since")) is not None:
        if text.isascii() and text.isdigit() and int(text[:18]) < EPOCH_FROM:
            after_sequence = int(text[:18])
        else:
            after_time = _time(text)
    return Query(after_time, after_sequence, values.get("container"), min(limit, limit_max))


def _time(text: str) -> float:
    from datetime import datetime  # not needed before the first request

    try:
        if len(text) > TIME_MAX:
            raise ValueError(text)
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return float(text)
        # A plus sign that was not encoded arrives as a space.
        parsed = datetime.fromisoformat(text.replace(" ", "+"))
        if parsed.tzinfo is None:
            raise ValueError("time zone missing")
        return parsed.timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"since {text[:40]!r}: expected RFC 3339, seconds since the epoch, or a sequence"
        ) from None


def _is_container(incident: Incident, wanted: str) -> bool:
    container = incident.container
    named = (container.name, container.id, name_of(incident), label_values(incident)[2])
    if wanted in named:
        return True
    return len(wanted) >= PREFIX_MIN and (container.id or "").startswith(wanted)


def _key(incident: Incident) -> tuple[int, int]:
    """What its id is made from."""
    return incident.boot_ns, incident.sequence


class History:
    """Call it with each incident; `find` from any thread."""

    def __init__(self, max_incidents: int = 256) -> None:
        self._max_incidents = max_incidents
        self._max_victims = max_incidents * MAX_VICTIMS_EACH
        self._victims = 0
        self._incidents: deque[Incident] = deque()
        self._keys: set[tuple[int, int]] = set()
        self._dropped = False
        self._lock = threading.Lock()

    def __call__(self, incident: Incident) -> None:
        with self._lock:
            if _key(incident) in self._keys:
                return  # in a history file as well as in the pinned ring
            self._keys.add(_key(incident))
            self._incidents.append(incident)
            self._victims += len(incident.victims)
            while len(self._incidents) > self._max_incidents or (
                self._victims > self._max_victims and len(self._incidents) > 1
            ):
                self._dropped = True
                dropped = self._incidents.popleft()
                self._keys.discard(_key(dropped))
                self._victims -= len(dropped.victims)

    def newest_first(self) -> list[Incident]:
        """Return all of them as they are now."""
        with self._lock:
            return list(reversed(self._incidents))

    def begin_late(self) -> None:
        """Count what is kept so far as less than there was."""
        with self._lock:
            self._dropped = bool(self._incidents)

    def kept_since(self) -> float | None:
        """Time of the oldest incident kept, if older ones were dropped; None if none was."""
        with self._lock:
            return self._incidents[0].time if self._dropped else None

    def newest(self) -> Incident | None:
        with self._lock:
            return self._incidents[-1] if self._incidents else None

    def find(self, query: Query) -> list[Incident]:
        """Return what matches, newest first."""
        found: list[Incident] = []
        numbered = math.inf
        for incident in self.newest_first():
            if len(found) == query.limit:
                break
            if query.after_sequence is not None and incident.sequence > numbered:
                break  # by an earlier start of the probe, which counted from 1 too
            numbered = incident.sequence
            if query.matches(incident):
                found.append(incident)
        return found
