# SPDX-License-Identifier: Apache-2.0
"""Parses a page's query into a filter of incidents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ...sinks.names import name_of
from .words import SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...incident.model import Incident

TEXT_MAX = 256  # characters of a name asked for
NAMES = ("namespace", "pod", "container")


@dataclass(frozen=True, slots=True)
class Filter:
    """Parts of names, whatever their case, and a scope; empty: any."""

    namespace: str = ""
    pod: str = ""
    container: str = ""
    scope: str = ""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Filter:
        """Raises `ValueError` with what is wrong."""
        scope = query.get("scope", "")
        if scope and scope not in SCOPES:
            raise ValueError(f"scope {scope[:40]!r}: expected one of {', '.join(SCOPES)}")
        texts = {name: query.get(name, "").strip()[:TEXT_MAX] for name in NAMES}
        return cls(**texts, scope=scope)

    def matches(self, incident: Incident) -> bool:
        if self.scope and incident.scope != self.scope:
            return False
        names = named(incident)
        return all(
            getattr(self, key).lower() in (names[key] or "").lower()
            for key in NAMES
            if getattr(self, key)
        )

    def link(self, path: str, page: int = 1) -> str:
        """Return where this filter's page is, for good."""
        asked = {name: getattr(self, name) for name in (*NAMES, "scope")}
        query = {name: value for name, value in asked.items() if value}
        if page > 1:
            query["page"] = str(page)
        return f"{path}?{urlencode(query)}" if query else path


def named(incident: Incident) -> dict[str, str | None]:
    """Return what the incident is filtered by."""
    container = incident.container
    return {
        "namespace": container.namespace,
        "pod": container.pod,
        "container": name_of(incident),
    }


def parse_page(query: Mapping[str, str]) -> int:
    """Return the page's number, from 1. Raises `ValueError`."""
    text = query.get("page", "1")
    if not (text.isascii() and text.isdigit() and int(text[:9]) >= 1 and len(text) < 9):
        raise ValueError(f"page {text[:40]!r}: expected a whole number above 0")
    return int(text)
