# SPDX-License-Identifier: Apache-2.0
"""The page of one incident: why, where the memory was, what to do next, who was there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.breakdown import find_breakdown, of_victims_cgroup
from ...diagnosis.verdict import next_steps
from ...sinks.names import UNRESOLVED
from . import cards
from .bar import explained
from .filters import named
from .layout import PageContext, page
from .words import ago, moment, name, pid, plain, plural, scope, unknown

if TYPE_CHECKING:
    from ...incident.model import Incident

RECORD_MAX = 100_000  # characters of the raw record within the page
PATH_COLUMNS = 72
VERDICT_COLUMNS = 600


def detail(incident: Incident, record: str, around: PageContext) -> h.Element:
    """``record``: the incident as JSON."""
    who = named(incident)["container"]
    return page(
        f"{plain(who)} - OOM kill - container-oomkill",
        [
            h.nav(".crumbs", aria_label="Breadcrumb")[h.a(href=around.home)["All incidents"]],
            h.header(".incident")[
                h.p(".kicker")[
                    scope(incident),
                    moment(incident.time),
                    h.span(".ago", data_live=True, id="ago")[ago(around.now - incident.time)],
                ],
                h.h1[_verdict(incident)],
                h.p(".who")[_who(incident)],
                incident.inferred and h.p(".remark")[_inferred(incident)],
            ],
            h.div(".halves")[_memory(incident), _next(incident)],
            h.div(".halves")[cards.domain(incident), cards.victim(incident)],
            cards.victims(incident.victims) if len(incident.victims) > 1 else None,
            h.div(".halves")[cards.trigger(incident), cards.candidates(incident.candidates)],
            _record(incident, record),
        ],
        around,
    )


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
    return name(incident.verdict[:1].upper() + incident.verdict[1:], VERDICT_COLUMNS)


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
    title = "What was charged against the limit"
    if where and not where.of_all:
        title = "What the killed processes had" + (", against the limit" if domain else "")
    return h.section(".card", aria_labelledby="memory")[
        h.h2("#memory")["Where the memory was"],
        explained(where, title) if where else h.p[unknown(), ": this hook could not read it."],
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
    ]


def _record(incident: Incident, record: str) -> h.Element:
    path = f"/incidents/{incident.id}.json"
    text = json.dumps(json.loads(record), indent=1) if len(record) < RECORD_MAX else None
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
        text
        and h.details[
            h.summary["Raw record"],
            h.pre("#raw", tabindex="0", aria_label="Raw record")[h.code[text]],
        ],
    ]
