# SPDX-License-Identifier: Apache-2.0
"""Which incidents to show: one query for the pages, the API, `show` and `probe`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ..incident.shapes import SHAPES
from ..units import UNIT_SECONDS
from .names import NO_LIMIT, SCOPES, counted_as, name_of, victims_cgroup, workload_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..incident.model import Incident

TEXT_MAX = 256  # characters of a name asked for
NAMES = ("namespace", "pod", "container", "workload", "node")
SCOPE_NAMES = (*SCOPES, *NO_LIMIT)
TIMES = ("since", "until")
PARAMETERS = (*NAMES, "cgroup", "scope", "shape", "id", *TIMES)
LIMIT = 100
ID_MIN = 4  # characters of an id
EPOCH_FROM = 1_000_000_000  # a number below is a sequence, one from here on a time (2001)
TIME_MAX = 40  # characters


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for; empty and None: any. `link` needs the texts, `matches` what they mean.

    Names match by any part, whatever their case; a container also by the first four or more
    characters of its id, and by its service. ``cgroup`` matches the cgroup of that path, or of that
    name anywhere, and all below it: the victim's, or the one whose limit was reached. ``id``: by
    its start.
    """

    namespace: str = ""
    pod: str = ""
    container: str = ""
    workload: str = ""
    node: str = ""
    cgroup: str = ""
    scope: str = ""
    shape: str = ""
    id: str = ""
    since: str = ""
    until: str = ""
    limit: int = LIMIT
    page: int = 1
    after_time: float | None = None  # seconds since the epoch
    after_sequence: int | None = None
    before_time: float | None = None

    @classmethod
    def parse(cls, values: Mapping[str, str], now: float) -> Query:
        """Read `PARAMETERS`, ignore others; ``now``: what "an hour ago" is from.

        Raises `ValueError` with what is wrong.
        """
        scope, shape = values.get("scope", ""), values.get("shape", "")
        for name, value, known in (("scope", scope, SCOPE_NAMES), ("shape", shape, SHAPES)):
            if value and value not in known:
                raise ValueError(f"{name} {value[:40]!r}: expected one of {', '.join(known)}")

        def text(name: str) -> str:
            return values.get(name, "").strip()[:TEXT_MAX]

        since, until = text("since"), text("until")
        sequence = int(since) if _is_sequence(since) else None
        return cls(
            namespace=text("namespace"),
            pod=text("pod"),
            container=text("container"),
            workload=text("workload"),
            node=text("node"),
            cgroup=text("cgroup"),
            scope=scope,
            shape=shape,
            id=text("id"),
            since=since,
            until=until,
            after_time=_time("since", since, now) if since and sequence is None else None,
            after_sequence=sequence,
            before_time=_time("until", until, now) if until else None,
        )

    def matches(self, incident: Incident) -> bool:
        if self.scope and incident.scope != self.scope:
            return False
        if self.shape and (incident.before is None or incident.before.shape != self.shape):
            return False
        if not incident.id.startswith(self.id):
            return False
        if self.after_time is not None and incident.time <= self.after_time:
            return False
        if self.before_time is not None and incident.time >= self.before_time:
            return False
        if self.after_sequence is not None and incident.sequence <= self.after_sequence:
            return False
        if self.cgroup and not _is_in(incident, self.cgroup):
            return False
        return all(_has(incident, key, wanted) for key in NAMES if (wanted := getattr(self, key)))

    def matching(self, newest_first: Iterable[Incident]) -> Iterator[Incident]:
        """Yield what matches, in the order given."""
        numbered = math.inf
        for incident in newest_first:
            if self.after_sequence is not None and incident.sequence > numbered:
                break  # by an earlier start of the probe, which counted from 1 too
            numbered = incident.sequence
            if self.matches(incident):
                yield incident

    def select(self, newest_first: Iterable[Incident]) -> list[Incident]:
        """Return what matches, in the order given: the ``page`` of up to ``limit``."""
        first = (self.page - 1) * self.limit
        return list(islice(self.matching(newest_first), first, first + self.limit))

    def parameters(self) -> dict[str, str]:
        """Return what was asked for, as `parse` reads it."""
        asked = {name: getattr(self, name) for name in PARAMETERS}
        return {name: value for name, value in asked.items() if value}

    def link(self, path: str, page: int = 1) -> str:
        """Return where this query's page is, for good."""
        from urllib.parse import urlencode  # `probe` has no use for it

        query = self.parameters()
        if self.limit != LIMIT:
            query["limit"] = str(self.limit)
        if page > 1:
            query["page"] = str(page)
        return f"{path}?{urlencode(query)}" if query else path


def parse_query(values: Mapping[str, str], *, limit_max: int, now: float) -> Query:
    """Read the query of the API: `Query.parse`, ``limit``, ``page``, and nothing else.

    Raises `ValueError` with what is wrong.
    """
    from dataclasses import replace

    for name in values:
        if name not in (*PARAMETERS, "limit", "page"):
            expected = ", ".join((*PARAMETERS, "limit"))
            raise ValueError(f"unknown parameter {name[:40]!r}: expected {expected} or page")
    for name in TIMES:
        if name in values and not values[name].strip():
            raise ValueError(f"{name}: {EXPECTED_TIME}")
    limit = parse_limit(values["limit"]) if "limit" in values else LIMIT
    limit = min(limit, limit_max)
    return replace(Query.parse(values, now), limit=limit, page=parse_page(values))


def parse_limit(text: str) -> int:
    """Raises `ValueError` with what is wrong."""
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise ValueError(f"limit {text[:40]!r}: expected a whole number above 0")
    return int(text[:9])


def parse_page(values: Mapping[str, str]) -> int:
    """Return the page's number, from 1. Raises `ValueError`."""
    text = values.get("page", "1")
    if not (text.isascii() and text.isdigit() and int(text[:9]) >= 1 and len(text) < 9):
        raise ValueError(f"page {text[:40]!r}: expected a whole number above 0")
    return int(text)


def named(incident: Incident) -> dict[str, str | None]:
    """Return what names an incident has, by the parameter that filters by it."""
    container = incident.container
    return {
        "namespace": container.namespace,
        "pod": container.pod,
        "container": name_of(incident),
        "workload": workload_of(container, victims_cgroup(incident)) or None,
        "node": incident.node,
    }


def _has(incident: Incident, key: str, wanted: str) -> bool:
    container = incident.container
    also: tuple[str | None, ...] = ()
    if key == "container":
        if len(wanted) >= ID_MIN and (container.id or "").startswith(wanted.lower()):
            return True
        counted = counted_as(container, victims_cgroup(incident))[2]
        also = container.name, container.service, counted
    wanted = wanted.lower()
    return any(wanted in (text or "").lower() for text in (named(incident)[key], *also))


def _is_in(incident: Incident, wanted: str) -> bool:
    name = f"/{wanted.strip('/')}/".replace("//", "/")
    domain = None if incident.domain is None else incident.domain.cgroup
    paths = [
        f"{path.rstrip('/')}/" for path in (victims_cgroup(incident), domain) if path is not None
    ]
    if wanted.startswith("/"):
        return any(path.startswith(name) for path in paths)
    return any(name in path for path in paths)


EXPECTED_TIME = "expected RFC 3339, seconds since the epoch, or how long ago, like 90s, 30m, 1h, 2d"


def _is_sequence(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:18]) < EPOCH_FROM and len(text) < 18


def _time(name: str, text: str, now: float) -> float:
    from datetime import datetime  # not needed before the first request

    try:
        if len(text) > TIME_MAX:
            raise ValueError(text)
        if text.isascii() and text[:-1].isdigit() and text[-1] in UNIT_SECONDS:
            return now - int(text[:-1]) * UNIT_SECONDS[text[-1]]
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return float(text)
        # A plus sign that was not encoded arrives as a space.
        parsed = datetime.fromisoformat(text.replace(" ", "+"))
        if parsed.tzinfo is None:
            raise ValueError("time zone missing")
        return parsed.timestamp()
    except (ValueError, OverflowError):
        sequence = ", or a sequence" if name == "since" else ""
        raise ValueError(f"{name} {text[:40]!r}: {EXPECTED_TIME}{sequence}") from None
