# SPDX-License-Identifier: Apache-2.0
"""The overview: the last day, and the containers that were killed in it and before, latest first.

What matches the filter is put together by container: of one that is in a loop there is a row, as of
one that was killed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.breakdown import find_breakdown
from ...units import DAY_SECONDS, plural
from .bar import bar
from .filters import FIELDS, Filter, form, named
from .kills import Kills, by_container
from .layout import PageContext, page
from .paging import pages
from .timeline import timeline
from .words import ago, amount, moment, name, plain, scope, sentence

if TYPE_CHECKING:
    from ...incident.model import Incident
    from ...sinks.names import Key

A_PAGE = 50  # containers
HABIT_COLUMNS = 80
EARLIER_SHOWN = 6  # kills of a container, besides the latest


def overview(
    incidents: Sequence[Incident],
    dropped: Mapping[Key, float],
    wanted: Filter,
    number: int,
    around: PageContext,
    beside: h.Node = None,
) -> h.Element:
    """``incidents``: all there are, newest first; ``number``: of the page, from 1.

    ``dropped``: time of the latest that had to go, by container; ``beside``: what there is besides
    incidents.
    """
    found = list(wanted.matching(incidents))
    containers = by_container(found, dropped)
    day = [incident for incident in found if around.now - incident.time < DAY_SECONDS]
    shown = containers[(number - 1) * A_PAGE : number * A_PAGE]
    return page(
        "OOM kills - container-oomkill",
        [
            h.section("#day", data_live=True, aria_labelledby="headline")[
                h.h1("#headline")[_headline(day, wanted, around)],
                h.p(".lead")[_lead(day, containers, around)],
                timeline(
                    day,
                    now=around.now,
                    watched_since=around.watched_since if around.facts.attached else around.now,
                    kept_since=around.kept_since,
                ),
            ],
            form(incidents, wanted, around.home),
            h.section("#incidents", data_live=True, aria_labelledby="list")[
                h.h2("#list")[_count(len(containers), len(found), len(incidents), wanted)],
                h.ol(".incidents")[(_row(kills, around) for kills in shown)]
                if shown
                else h.p(".nothing")[_nothing(number, found, wanted, around)],
                pages(number, len(containers), A_PAGE, wanted, around.home),
            ],
            beside,
        ],
        around,
    )


def _headline(day: Sequence[Incident], wanted: Filter, around: PageContext) -> str:
    kills = sum(incident.kills for incident in day)
    thing = "OOM kill" if wanted == Filter() else "matching OOM kill"
    if not kills:
        known = "" if _sees_all(around) else " known"
        return f"No {thing}{known} in the last 24 hours"
    least = "At least " if _let_go(around) else ""
    return f"{least}{plural(kills, thing)} in the last 24 hours"


def _let_go(around: PageContext) -> bool:
    """Whether incidents of the last day may have been dropped."""
    return around.kept_since is not None and around.now - around.kept_since < DAY_SECONDS


def _sees_all(around: PageContext) -> bool:
    """Whether what is not here did not happen, since this exporter watches."""
    facts = around.facts
    lost = facts.unaccounted or any(facts.lost.values())
    return around.not_ready is None and not lost and not _let_go(around)


def _lead(
    day: Sequence[Incident], containers: Sequence[Kills], around: PageContext
) -> Iterator[h.Node]:
    if day:
        of = plural(sum(each.in_day(around.now) > 0 for each in containers), "container")
        last = ago(around.now - day[0].time)
        yield f"{plural(len(day), 'incident')} of {of}, the last one {last}. "
    if around.kept_since is not None and _let_go(around):
        yield ["Only the latest are kept (--web.max-incidents), since ", moment(around.kept_since)]
        yield ". "
    if not around.facts.attached:
        yield "Not watching yet."
    elif around.now - around.watched_since < DAY_SECONDS:
        earlier = day and day[-1].time < around.watched_since
        kept = "; earlier incidents come from pinned hooks or the history."
        words = kept if earlier else ", not before."
        yield ["Watching since ", moment(around.watched_since), words]


def _count(containers: int, found: int, all_: int, wanted: Filter) -> str:
    words = f"{plural(containers, 'container')}, "
    if wanted == Filter():
        return words + plural(all_, "incident") if all_ else "Incidents"
    others = {key: text for key, text in wanted.parameters().items() if key not in FIELDS}
    others.pop("scope", None)  # the form has it
    more = "".join(f", {key} {plain(text)}" for key, text in others.items())
    return f"{words}{found} of {plural(all_, 'incident')}{more}"


def _nothing(number: int, found: Sequence[Incident], wanted: Filter, around: PageContext) -> str:
    if found:
        return f"There is no page {number}."
    if wanted != Filter():
        return "No matching incidents."
    if not _sees_all(around):
        return (
            "Nothing has been recorded since this exporter started; see below what it may have "
            "missed."
        )
    return "The kernel has not run out of memory since this exporter started."


def _row(kills: Kills, around: PageContext) -> h.Element:
    latest = kills.latest
    age = around.now - latest.time
    return h.li[
        h.div(".when")[
            h.span(".ago")[ago(age)],
            moment(latest.time, day=age > DAY_SECONDS / 2),
            h.span(".count")[_often(kills, around)],
        ],
        h.div(".who")[
            _who_and_why(latest, around.home),
            _habit(kills),
            _earlier(kills, around),
        ],
        _what_ran_out(latest),
    ]


def _often(kills: Kills, around: PageContext) -> h.Node:
    """Count those of the last day; if it was killed before that, only say how often."""
    count = kills.in_day(around.now)
    least = "at least " if kills.is_least(around.now) else ""
    if count == 1:
        return kills.how_often(kills.latest, around.watched_since)
    if count:
        return [least, h.span(".strong")[f"{count} times"], " in 24 h"]
    return f"{least}{len(kills.incidents)} times, none in 24 h" if kills.incidents[1:] else None


def _habit(kills: Kills) -> h.Node:
    """Say what its kills have in common; of one alone the verdict says it."""
    habit = kills.habit(kills.latest) if kills.incidents[1:] else None
    return h.p(".habit")[name(habit.words(), HABIT_COLUMNS)] if habit else None


def _earlier(kills: Kills, around: PageContext) -> h.Node:
    """Lead to the kills before the latest."""
    earlier = kills.incidents[1 : 1 + EARLIER_SHOWN]
    more = len(kills.incidents) - 1 - len(earlier)
    if not earlier:
        return None
    return h.p(".earlier")[
        "Earlier: ",
        (
            [", " if n else None, h.a(href=f"/incidents/{each.id}")[ago(around.now - each.time)]]
            for n, each in enumerate(earlier)
        ),
        f", and {more} more" if more else None,
    ]


# What stays the same of a row: pages that are open ask for it again and again. It is kept as
# markup, which is not escaped again.
@lru_cache(maxsize=2 * A_PAGE)
def _who_and_why(incident: Incident, home: str) -> str:
    row = h.fragment[
        h.a(href=f"/incidents/{incident.id}")[name(named(incident)["container"])],
        _place(incident, home),
        h.p(".verdict")[sentence(incident.verdict) if incident.verdict else "Cause unknown."],
    ]
    return str(row)


@lru_cache(maxsize=2 * A_PAGE)
def _what_ran_out(incident: Incident) -> str:
    domain = incident.domain
    where = find_breakdown(incident)
    row = h.div(".what")[
        scope(incident),
        h.span(".amount")[amount(domain.limit_bytes)] if domain else None,
        bar(where) if where else None,
    ]
    return str(row)


def _place(incident: Incident, home: str) -> h.Node:
    """The container's pod and namespace; each leads to what else happened there."""
    names = named(incident)
    known = [(key, text) for key in ("namespace", "pod") if (text := names[key])]
    if not known:
        return None
    links = [
        h.a(href=Filter.parse({key: text}, 0.0).link(home))[name(text, 40)] for key, text in known
    ]
    return h.span(".place")["in ", [[" / " if n else None, each] for n, each in enumerate(links)]]
