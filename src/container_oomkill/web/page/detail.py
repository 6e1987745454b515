# SPDX-License-Identifier: Apache-2.0
"""The page of one incident: what died and why, what to do, where the memory was, who was there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.breakdown import find_breakdown, of_victims_cgroup
from ...diagnosis.habit import shape_words
from ...diagnosis.verdict import next_steps
from ...sinks.names import UNRESOLVED
from ...units import about, plural
from . import cards
from .bar import explained
from .chart import chart
from .children import children
from .commands import commands
from .filters import named
from .headline import headline, title, what_ran_out
from .layout import PageContext, page
from .node import node
from .stacks import stacks
from .words import ago, moment, name, pid, scope, sentence, unknown

if TYPE_CHECKING:
    from ...incident.model import Incident
    from .cards import Missing
    from .commands import Command
    from .kills import Kills

RECORD_MAX = 100_000  # characters of the raw record within the page
PATH_COLUMNS = 72
KILLS_SHOWN = 20


def detail(incident: Incident, record: str, kills: Kills, around: PageContext) -> h.Element:
    """``record``: the incident as JSON; ``kills``: its container's, it among them."""
    missing: Missing = {}
    limit = cards.domain(incident, missing)
    victim = cards.victim(incident, missing)
    trigger = cards.trigger(incident, missing)
    candidates = cards.candidates(incident, missing)
    return page(
        f"{title(incident)} - container-oomkill",
        [
            h.nav(".crumbs", aria_label="Breadcrumb")[h.a(href=around.home)["All incidents"]],
            _summary(incident, kills, around),
            _halves(
                (_next(incident), stacks(incident, kills)),
                (
                    _memory(incident),
                    _kills(incident, kills, around),
                    trigger,
                ),
            ),
            chart(incident),
            node(incident),
            cards.victims(incident) if len(incident.victims) > 1 else None,
            _halves((limit, candidates), (victim,)),
            _record(incident, record, missing),
        ],
        around,
    )


def _halves(left: Iterable[h.Node], right: Iterable[h.Node]) -> h.Element:
    """Two columns, on a phone one below the other; empty ones take no room."""
    columns = [[card for card in column if card] for column in (left, right)]
    return h.div(".halves")[(h.div[column] for column in columns if column)]


def _summary(incident: Incident, kills: Kills, around: PageContext) -> h.Element:
    return h.header(".incident")[
        h.p(".kicker")[
            scope(incident),
            h.span(".times", data_state=kills.in_day(incident.time) > 1 and "bad")[
                kills.how_often(incident, around.watched_since)
            ],
            _habit(incident, kills),
            h.span(".ago", data_live=True, id="ago")[ago(around.now - incident.time)],
            moment(incident.time),
        ],
        h.h1[headline(incident)],
        h.p(".verdict")[_verdict(incident)],
        h.p(".who")[_who(incident)],
        incident.inferred and h.p(".remark")[_inferred(incident)],
        _beside(incident, kills),
    ]


def _habit(incident: Incident, kills: Kills) -> h.Node:
    """Say what it has in common with those before it; of one alone the verdict says it."""
    habit = kills.habit(incident) if kills.earlier(incident) else None
    return h.span(".habit")[name(habit.words(), PATH_COLUMNS)] if habit else None


def _beside(incident: Incident, kills: Kills) -> h.Node:
    """Lead to the kill before, and to the one after; live, as that may be yet to come."""
    earlier, later = kills.earlier(incident), kills.later(incident)
    return h.nav("#beside", data_live=True, aria_label="Kills of this container")[
        h.a(rel="prev", href=f"/incidents/{earlier.id}")[
            f"← Previous kill, {about(incident.time - earlier.time)} earlier"
        ]
        if earlier
        else None,
        h.a(rel="next", href=f"/incidents/{later.id}")[
            f"Next kill, {about(later.time - incident.time)} later →"
        ]
        if later
        else None,
    ]


def _inferred(incident: Incident) -> str:
    how = (
        "no cgroup from the victim's upward was at its limit."
        if incident.domain is None
        else "of the cgroups from the victim's upward, this one was nearest to its limit."
    )
    return f"Inferred: this hook does not see what ran out; {how}"


def _verdict(incident: Incident) -> h.Node:
    if incident.verdict is None:
        return ["Cause unknown; killed: ", name(incident.victims[0].command)]
    return sentence(incident.verdict[:1].upper() + incident.verdict[1:])


def _who(incident: Incident) -> Iterator[h.Node]:
    """What was killed and where: a verdict of the kernel's own memory names nobody."""
    victim, others = incident.victims[0], len(incident.victims) - 1
    yield ["Killed: ", h.span(".strong")[name(victim.command)], f" {pid(victim.pid)}"]
    if others:
        yield f" and {plural(others, 'other')}"
    container = incident.container
    if container.id is None and container.name is None:
        yield [", in no known container, in ", name(victim.cgroup)]
        return
    yield [", in container ", h.span(".strong")[name(named(incident)["container"])]]
    for what, text in (
        ("pod", container.pod),
        ("namespace", container.namespace),
        ("workload", container.workload),
        ("service", container.service),
        ("image", container.image),
        ("by", container.runtime),
    ):
        if text:
            yield [f", {what} ", name(text, PATH_COLUMNS)]
    if (reason := container.unresolved) is not None:
        yield [", name unknown: ", name(UNRESOLVED.get(reason, reason), PATH_COLUMNS)]


def _memory(incident: Incident) -> h.Element:
    domain = incident.domain
    where = find_breakdown(incident)
    victims = of_victims_cgroup(incident)
    heading = "What was charged against the limit"
    if where and not where.of_all:
        heading = "What the killed processes had" + (", against the limit" if domain else "")
    return h.section(".card", aria_labelledby="memory")[
        h.h2("#memory")["Where the memory was"],
        explained(where, heading) if where else h.p[unknown(), ": this hook could not read it."],
        children(incident),
        explained(victims, "The victim's own cgroup") if victims else None,
    ]


def _next(incident: Incident) -> h.Element:
    return h.section(".card", aria_labelledby="next")[
        h.h2("#next")["What to do next"],
        h.ol(".steps")[
            (
                h.li[
                    step.text,
                    " ",
                    h.a(href=f"/docs/{step.link}")["more", h.span(".unseen")[f": {step.text}"]],
                ]
                for step in next_steps(incident)
            )
        ],
        h.h3(".label")["To look further"],
        h.ul(".commands")[
            (h.li[h.p(".shows")[command.shows], _code(command)] for command in commands(incident))
        ],
    ]


def _code(command: Command) -> h.Element:
    """A line that breaks between words alone, if it must; as text it is one line."""
    return h.code(data_copy=True)[
        ([" " if n else None, h.span[word]] for n, word in enumerate(command.words))
    ]


def _kills(incident: Incident, kills: Kills, around: PageContext) -> h.Node:
    """All that is known of this container, as a list; None where there is no other."""
    if len(kills.incidents) < 2:
        return None
    more = len(kills.incidents) - KILLS_SHOWN
    return h.section("#kills.card", data_live=True, aria_labelledby="kills-heading")[
        h.h2("#kills-heading")[f"{len(kills.incidents)} kills of this container"],
        h.ol(".kills")[
            (
                h.li(aria_current="true" if each.id == incident.id else None)[
                    h.span[ago(around.now - each.time)],
                    _kill(each, is_this=each.id == incident.id),
                    h.span(".pid")[name(each.victims[0].command)],
                    _shape(each),
                ]
                for each in kills.incidents[:KILLS_SHOWN]
            )
        ],
        more > 0 and h.p(".remark")[f"And {more} more: the API has them."],
    ]


def _kill(incident: Incident, *, is_this: bool) -> h.Element:
    if is_this:
        return h.span(".strong")["this one"]
    return h.a(href=f"/incidents/{incident.id}")[what_ran_out(incident)]


def _shape(incident: Incident) -> h.Node:
    shape = incident.before and incident.before.shape
    return h.span(".shape")[name(shape_words(shape))] if shape else None


def _record(incident: Incident, record: str, missing: Missing) -> h.Element:
    path = f"/incidents/{incident.id}.json"
    text = json.dumps(json.loads(record), indent=1) if len(record) < RECORD_MAX else None
    unknown_facts = cards.missing_in_words(missing)
    return h.section(".card", aria_labelledby="record")[
        h.h2("#record")["The record"],
        h.p[
            "As recorded by the ",
            h.code[incident.hook],
            " hook on ",
            name(incident.node),
            ", kernel ",
            name(incident.kernel),
            ". This link works as long as the exporter keeps the incident. ",
            h.a(href=path)["The raw record"],
            " has every field.",
        ],
        unknown_facts and h.p(".remark")[f"Not known on this kernel and hook: {unknown_facts}."],
        text
        and h.details[
            h.summary["Raw record"],
            h.pre("#raw", tabindex="0", aria_label="Raw record")[h.code[text]],
        ],
    ]
