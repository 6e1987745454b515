# SPDX-License-Identifier: Apache-2.0
"""Kills by others than the OOM killer: a few on the overview, all on a page of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import htpy as h

from ...sinks.kill_names import kill_name
from ...sinks.kill_query import matching_kills
from ...sinks.kill_text import short_cause
from ...units import DAY_SECONDS, plural
from .filters import Filter
from .layout import PageContext, page
from .paging import pages
from .words import ago, moment, name, plain, sentence

if TYPE_CHECKING:
    from ...killers.model import Kill

PATH = "/kills"
ON_OVERVIEW = 5
A_PAGE = 100
MEANING = (
    "SIGKILL that the kernel's OOM killer did not send. With PID 1 its container ended, and its "
    "exit code is 137."
)


def section(kills: Sequence[Kill], wanted: Filter, around: PageContext) -> h.Node:
    """The latest few of the last day that the overview's filter asks for; nothing for none."""
    found = list(matching_kills(wanted, kills))
    day = [kill for kill in found if around.now - kill.time < DAY_SECONDS]
    if not found:
        return None
    return h.section("#others", aria_labelledby="others-list")[
        h.h2("#others-list")[f"{plural(len(day), 'kill')} by others in the last 24 hours"],
        h.p[MEANING],
        h.ol(".incidents")[(_row(kill, around) for kill in day[:ON_OVERVIEW])] if day else None,
        h.p[h.a(href=wanted.link(PATH))[f"All {len(found)}"]],
    ]


def kills_page(
    kills: Sequence[Kill], wanted: Filter, number: int, around: PageContext
) -> h.Element:
    """``number``: of the page, from 1."""
    found = list(matching_kills(wanted, kills))
    shown = found[(number - 1) * A_PAGE : number * A_PAGE]
    asked = "".join(f", {key} {plain(text)}" for key, text in wanted.parameters().items())
    return page(
        "Kills by others - container-oomkill",
        [
            h.section("#others", data_live=True, aria_labelledby="others-list")[
                h.h1("#others-list")[plural(len(found), "kill") + " by others" + asked],
                h.p[MEANING],
                h.ol(".incidents")[(_row(kill, around) for kill in shown)]
                if shown
                else h.p(".nothing")["None has been recorded."],
                pages(number, len(found), A_PAGE, wanted, PATH),
            ],
        ],
        around,
    )


def _row(kill: Kill, around: PageContext) -> h.Element:
    age = around.now - kill.time
    return h.li(id=kill.id)[
        h.div(".when")[h.span(".ago")[ago(age)], moment(kill.time, day=age > DAY_SECONDS / 2)],
        h.div(".who")[
            h.span[name(kill_name(kill))],
            h.p(".verdict")[sentence(kill.verdict) if kill.verdict else "Cause unknown."],
        ],
        h.div(".what.words")[list(_facts(kill))],
    ]


def _facts(kill: Kill) -> Iterator[h.Node]:
    yield h.span(".scope")[short_cause(kill)]
    if kill.target.is_init:
        yield h.span(".amount")["exit code 137"]
