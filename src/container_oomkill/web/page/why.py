# SPDX-License-Identifier: Apache-2.0
"""How a container last ended by SIGKILL, whoever sent it: `container-oomkill why` as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import htpy as h

from ...killers.model import Kill
from ...sinks.ends import ends_of, of_container, whose
from ...sinks.kill_text import short_cause
from .layout import PageContext, page
from .words import ago, moment, name, sentence

if TYPE_CHECKING:
    from ...incident.model import Incident
    from ...sinks.ends import Record

PATH = "/why"
CONTAINERS = 20
EARLIER = 10


def why(
    incidents: Sequence[Incident], kills: Sequence[Kill], wanted: str, around: PageContext
) -> h.Element:
    """``wanted``: as `container-oomkill why` takes it; empty: nobody has asked yet."""
    found = of_container([*incidents, *kills], wanted) if wanted.strip("/ ") else []
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
    ends, _ = ends_of(its)
    last = ends[0] if ends else its[0]
    return h.section[
        h.h2[name(whose(last))],
        h.p[
            f"Ended {ago(around.now - last.time)} by SIGKILL (exit code 137): "
            if ends
            else "Not known to have ended by SIGKILL; the last in it that was killed: ",
            _what(last),
        ],
        h.p(".verdict")[sentence(last.verdict) if last.verdict else "Cause unknown."],
        h.ol(".incidents")[(_row(each, around) for each in its[:EARLIER])] if its[1:] else None,
    ]


def _row(record: Record, around: PageContext) -> h.Element:
    return h.li[
        h.div(".when")[h.span(".ago")[ago(around.now - record.time)], moment(record.time)],
        h.div(".who")[_what(record)],
    ]


def _what(record: Record) -> h.Node:
    if isinstance(record, Kill):
        return h.a(href=f"/kills#{record.id}")[short_cause(record)]
    return h.a(href=f"/incidents/{record.id}")["by the kernel's OOM killer"]
