# SPDX-License-Identifier: Apache-2.0
"""Shows one fact of an incident as page content; an unknown one as unknown, never as 0."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import htpy as h

from ...sinks.names import UNKNOWN
from ...sinks.printable import ELLIPSIS, printable, shorten
from ...sinks.record import rfc3339
from ...units import GIB, about, size

if TYPE_CHECKING:
    from ...incident.model import Incident

COLUMNS = 48  # of a name, unless there is room
TITLE_MAX = 512  # characters of a name that was cut, on hovering
SENTENCE_MAX = 1500  # characters; a name within one may be of any length
SCOPES = {
    "container": ("■", "own limit"),
    "pod": ("◆", "pod's limit"),
    "cgroup": ("▤", "parent's limit"),
    "node": ("▲", "node"),
    "cpuset": ("◍", "cpuset"),
    "mempolicy": ("◍", "memory policy"),
    "manual": ("✱", "sysrq"),
}


_UNKNOWN = h.span(".unknown")[UNKNOWN]


def unknown() -> h.Element:
    """Return always the same, so that it can be told from a fact."""
    return _UNKNOWN


def plain(text: str | None, columns: int = COLUMNS) -> str:
    """Give a name that anyone may have chosen where there can be no element."""
    return shorten(printable(text), columns) if text else UNKNOWN


def name(text: str | None, columns: int = COLUMNS) -> h.Element:
    """Show such a name apart from the text around it; all of it on hovering."""
    if not text:
        return unknown()
    short, safe = plain(text, columns), printable(text)
    return h.bdi(title=safe[:TITLE_MAX] if short != safe else None)[short]


def sentence(text: str) -> h.Element:
    """Show one that names are part of: whole, or whole clauses and a sign that there are more."""
    safe = printable(text)
    if len(safe) > SENTENCE_MAX:
        kept = safe[:SENTENCE_MAX]
        at = max(kept.rfind("; "), kept.rfind(", "))
        safe = f"{kept[:at] if at > 0 else kept} {ELLIPSIS}"
    return h.bdi[safe]


def limit_size(bytes_: int) -> str:
    """As people set it: a whole number where it is one."""
    if bytes_ and bytes_ % GIB == 0:
        return f"{bytes_ // GIB} GiB"
    return size(bytes_).replace(".0 ", " ")


def amount(bytes_: int | None) -> h.Node:
    return unknown() if bytes_ is None else size(bytes_)


def limit(bytes_: int | None) -> h.Node:
    """Of a limit None may also mean that there is none; the record does not tell the two apart."""
    return h.span(".unknown")["none or unknown"] if bytes_ is None else size(bytes_)


def number(value: int | None) -> h.Node:
    return unknown() if value is None else f"{value:,}".replace(",", "\u202f")


def moment(seconds: float, *, day: bool = True) -> h.Element:
    """A point in time, UTC."""
    shown = datetime.fromtimestamp(seconds, UTC).strftime(
        "%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S"
    )
    return h.time(datetime=rfc3339(seconds))[f"{shown} UTC"]


def ago(seconds: float) -> str:
    return f"{about(max(0.0, seconds))} ago"


def scope(incident: Incident) -> h.Element:
    """What ran out, as a mark and a word; colour only adds to them."""
    mark, word = SCOPES.get(incident.scope or "", ("?", "scope unknown"))
    return h.span(".scope", {"data-scope": incident.scope or ""})[
        h.span(aria_hidden="true")[mark], " ", word
    ]


def pid(number_: int | None) -> str:
    return f"pid {UNKNOWN if number_ is None else number_}"


def task(command: str | None, number_: int | None) -> h.Node:
    if command is None and number_ is None:
        return unknown()
    return [name(command), h.span(".pid")[" ", pid(number_)]]
