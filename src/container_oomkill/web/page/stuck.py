# SPDX-License-Identifier: Apache-2.0
"""Out of memory without a kill: what goes on and the latest few on the overview, all on a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import htpy as h

from ...sinks.stuck_formats import short_cause
from ...sinks.stuck_names import stuck_name
from ...sinks.stuck_query import matching_stuck
from ...stuck.model import THROTTLED
from ...units import DAY_SECONDS, duration, plural
from .filters import Filter
from .layout import PageContext, page
from .paging import pages
from .words import ago, amount, moment, name, plain, sentence

if TYPE_CHECKING:
    from ...stuck.model import Stuck

PATH = "/stuck"
ON_OVERVIEW = 5
A_PAGE = 100
MEANING = (
    "A limit was reached again and again, or memory.high exceeded, and nothing was killed: the "
    "processes wait, are slowed down or get errors, and no status tells."
)


def section(episodes: Sequence[Stuck], wanted: Filter, around: PageContext) -> h.Node:
    """The latest few of the last day that the overview's filter asks for; nothing for none."""
    found = list(matching_stuck(wanted, episodes))
    if not found:
        return None
    day = [stuck for stuck in found if around.now - _ended(stuck) < DAY_SECONDS]
    return h.section("#stuck", aria_labelledby="stuck-list")[
        h.h2("#stuck-list")[_heading(day, " in the last 24 hours")],
        h.p[MEANING],
        h.ol(".incidents")[(_row(stuck, around) for stuck in day[:ON_OVERVIEW])] if day else None,
        h.p[h.a(href=wanted.link(PATH))[f"All {len(found)}"]],
    ]


def stuck_page(
    episodes: Sequence[Stuck], wanted: Filter, number: int, around: PageContext
) -> h.Element:
    """``number``: of the page, from 1."""
    found = list(matching_stuck(wanted, episodes))
    shown = found[(number - 1) * A_PAGE : number * A_PAGE]
    asked = "".join(f", {key} {plain(text)}" for key, text in wanted.parameters().items())
    return page(
        "Out of memory without a kill - container-oomkill",
        [
            h.section("#stuck", data_live=True, aria_labelledby="stuck-list")[
                h.h1("#stuck-list")[_heading(found, asked)],
                h.p[MEANING],
                h.ol(".incidents")[(_row(stuck, around) for stuck in shown)]
                if shown
                else h.p(".nothing")["None has been recorded."],
                pages(number, len(found), A_PAGE, wanted, PATH),
            ],
        ],
        around,
    )


def when(stuck: Stuck, now: float) -> str:
    """Say that it is now, or how long ago it was."""
    return "now" if stuck.stuck.ended is False else ago(now - _ended(stuck))


def _heading(episodes: Sequence[Stuck], which: str) -> str:
    now = sum(stuck.stuck.ended is False for stuck in episodes)
    of_them = f", {now} of them now" if now else ""
    return f"Out of memory without a kill: {plural(len(episodes), 'time')}{which}{of_them}"


def _ended(stuck: Stuck) -> float:
    return stuck.time + (stuck.stuck.seconds or 0.0)


def _row(stuck: Stuck, around: PageContext) -> h.Element:
    seconds = stuck.stuck.seconds
    return h.li(id=stuck.id)[
        h.div(".when")[
            h.span(".ago")[when(stuck, around.now)],
            moment(stuck.time, day=around.now - stuck.time > DAY_SECONDS / 2),
            h.span(".count")[f"for {duration(seconds)}"] if seconds else None,
        ],
        h.div(".who")[
            h.span[name(stuck_name(stuck))],
            h.p(".verdict")[sentence(stuck.verdict) if stuck.verdict else "Cause unknown."],
        ],
        h.div(".what.words")[list(_facts(stuck))],
    ]


def _facts(stuck: Stuck) -> Iterator[h.Node]:
    yield h.span(".scope")[short_cause(stuck)]
    limit = stuck.high_bytes if stuck.stuck.cause == THROTTLED else stuck.limit_bytes
    yield h.span(".amount")[amount(limit)]
