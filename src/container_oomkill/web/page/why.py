# SPDX-License-Identifier: Apache-2.0
"""How a container last ended by SIGKILL, whoever sent it: `container-oomkill why` as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import htpy as h

from ...killers.model import Kill
from ...sinks.ends import apart, ends_of, of_container, whose
from ...sinks.kill_text import short_cause
from ...sinks.stuck_formats import short_cause as short_cause_stuck
from ...stuck.model import Stuck
from .layout import PageContext, page
from .stuck import when
from .words import ago, moment, name, sentence

if TYPE_CHECKING:
    from ...sinks.ends import Ending, Record

PATH = "/why"
CONTAINERS = 20
EARLIER = 10


def why(records: Sequence[Record], wanted: str, around: PageContext) -> h.Element:
    """``wanted``: as `container-oomkill why` takes it; empty: nobody has asked yet."""
    found = of_container(records, wanted) if wanted.strip("/ ") else []
    return page(
        "Why did it end? - container-oomkill",
        [
            h.h1["Why did it end?"],
            h.form(".filters", action=PATH, method="get", role="search", aria_label="Container")[
                h.div(".field")[
                    h.label(for_="container")["container"],
                    h.input("#container", name="container", value=wanted, autocomplete="off"),
                ],
                h.div(".field.buttons")[h.button(type="submit")["Ask"]],
            ],
            [_container(its, around) for its in found[:CONTAINERS]],
            None
            if found or not wanted
            else h.p(".nothing")["No SIGKILL of a container ", name(wanted), " has been recorded."],
        ],
        around,
    )


def _container(its: Sequence[Record], around: PageContext) -> h.Element:
    """``its``: of one container, newest first."""
    kills, stuck = apart(its)
    return h.section[
        h.h2[name(whose(its[0]))],
        _ended(kills, around),
        _stuck(stuck, around),
        h.ol(".incidents")[(_row(each, around) for each in its[:EARLIER])] if its[1:] else None,
    ]


def _ended(kills: Sequence[Ending], around: PageContext) -> h.Node:
    if not kills:
        return h.p["Not known to have ended by SIGKILL."]
    ends, _ = ends_of(kills)
    last = ends[0] if ends else kills[0]
    return [
        h.p[
            f"Ended {ago(around.now - last.time)} by SIGKILL (exit code 137): "
            if ends
            else "Not known to have ended by SIGKILL; the last in it that was killed: ",
            _what(last),
        ],
        h.p(".verdict")[sentence(last.verdict) if last.verdict else "Cause unknown."],
    ]


def _stuck(stuck: Sequence[Stuck], around: PageContext) -> h.Node:
    if not stuck:
        return None
    last = stuck[0]
    return [
        h.p[f"Out of memory without a kill {when(last, around.now)}: ", _what(last)],
        h.p(".verdict")[sentence(last.verdict) if last.verdict else "Cause unknown."],
    ]


def _row(record: Record, around: PageContext) -> h.Element:
    return h.li[
        h.div(".when")[h.span(".ago")[ago(around.now - record.time)], moment(record.time)],
        h.div(".who")[_what(record)],
    ]


def _what(record: Record) -> h.Node:
    if isinstance(record, Stuck):
        return h.a(href=f"/stuck#{record.id}")[short_cause_stuck(record)]
    if isinstance(record, Kill):
        return h.a(href=f"/kills#{record.id}")[short_cause(record)]
    return h.a(href=f"/incidents/{record.id}")["by the kernel's OOM killer"]
