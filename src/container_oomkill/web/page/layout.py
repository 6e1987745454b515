# SPDX-License-Identifier: Apache-2.0
"""What all pages share: header, footer, and the probe's own health, always visible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import htpy as h

from .words import name, number, plain

if TYPE_CHECKING:
    from ...metrics.table import Facts


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a page needs to know besides its incidents."""

    home: str  # path of the overview
    telemetry_path: str
    style: str  # path of the style sheet
    script: str
    icon: str
    node: str
    facts: Facts
    not_ready: str | None  # why nothing is being recorded
    watched_since: float  # seconds since the epoch
    kept_since: float | None  # of the oldest incident here, if older ones were dropped
    now: float
    newest: str  # id of the newest incident, empty: there is none


def page(title: str, content: h.Node, around: PageContext) -> h.Element:
    return h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.meta(name="color-scheme", content="light dark"),
            h.title[title],
            h.link(rel="icon", type="image/svg+xml", href=around.icon),
            h.link(rel="stylesheet", href=around.style),
            h.script(src=around.script, defer=True),
        ],
        h.body(data_newest=around.newest)[
            h.a(".skip", href="#main")["Skip to content"],
            h.header(".top")[
                h.div(".brand")[
                    h.a(href=around.home)["container-oomkill"],
                    h.span(".node")["on ", name(around.node)],
                    h.span("#live", role="status"),
                ],
                health(around),
            ],
            h.main("#main", tabindex="-1")[content],
            h.footer[_meanings(around), _links(around)],
        ],
    ]


def health(around: PageContext) -> h.Element:
    """Whether what is not on this page can be believed not to have happened."""
    facts = around.facts
    well = around.not_ready is None
    return h.dl("#health", data_live=True, aria_label="The probe's health")[
        _fact("probe", "watching" if well else f"not watching: {around.not_ready}", well=well),
        _fact("hook", facts.hook),
        _fact("kernel", name(facts.kernel, 24)),
        _count("lost", sum(facts.lost.values())),
        _count("unaccounted", facts.unaccounted),
        _count("unresolved", sum(facts.unresolved.values())),
    ]


def _meanings(around: PageContext) -> h.Element:
    """What the counts above are of, in words: a phone and a keyboard have nothing to hover with."""
    facts = around.facts
    return h.p("#meanings", data_live=True)[
        f"lost: records that could not be delivered{_reasons(facts.lost)}. "
        "unaccounted: kills the kernel counted and we did not see. "
        f"unresolved: incidents whose container could not be named{_reasons(facts.unresolved)}."
    ]


def _reasons(by_reason: Mapping[str, int]) -> str:
    known = ", ".join(f"{plain(reason)} {count}" for reason, count in by_reason.items() if count)
    return f" ({known})" if known else ""


def _fact(what: str, value: h.Node, *, well: bool | None = None) -> h.Element:
    state = None if well is None else "well" if well else "bad"
    mark = None if well is None else h.span(".mark", aria_hidden="true")["●" if well else "▲"]
    return h.div(data_state=state)[h.dt[what], h.dd[mark, value]]


def _count(what: str, total: int | None) -> h.Element:
    return h.div(data_state=_state(total))[h.dt[what], h.dd[_mark(total), number(total)]]


def _state(count: int | None) -> str | None:
    return None if count is None else "bad" if count else "well"


def _mark(count: int | None) -> h.Node:
    return h.span(".mark", aria_hidden="true")["▲"] if count else None


def _links(around: PageContext) -> Iterator[h.Node]:
    yield h.p[
        f"container-oomkill {around.facts.version}. ",
        h.a(href=around.telemetry_path)["metrics"],
        ", ",
        h.a(href="/api/v1/incidents")["incidents as JSON"],
        ", ",
        h.a(href="/kills")["kills by others"],
        ", ",
        h.a(href="/stuck")["out of memory without a kill"],
        ", ",
        h.a(href="/why")["why a container ended"],
        ", ",
        h.a(href="/healthz")["healthz"],
        ", ",
        h.a(href="/readyz")["readyz"],
    ]


def problem(status: int, words: str, around: PageContext) -> h.Element:
    """What a page says that cannot be shown."""
    heading = {400: "Invalid request", 404: "Not found"}[status]
    return page(
        f"{heading} - container-oomkill",
        [h.h1[heading], h.p[words], h.p[h.a(href=around.home)["All incidents"]]],
        around,
    )
