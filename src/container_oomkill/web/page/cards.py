# SPDX-License-Identifier: Apache-2.0
"""The cards of an incident's page: each shows one part of it, fact by fact.

What is unknown takes no line: a card adds it to `Missing`, of which the page makes one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import htpy as h

from ...diagnosis.breakdown import of_cgroup
from ...identity.metadata import SANDBOX
from ...sinks.names import BY, short_id
from ...units import duration, size
from .words import amount, limit, name, number, task, unknown

if TYPE_CHECKING:
    from ...diagnosis.breakdown import Part
    from ...incident.model import Candidate, Domain, Incident, Trigger, Unlisted, Victim

VICTIMS_MAX = 50  # rows; a group may have thousands
PATH_COLUMNS = 72
CMDLINE_COLUMNS = 300
SYSRQ_ORDER = -1
ORDER_MAX = 63  # above any kernel's MAX_PAGE_ORDER

Facts = Iterable[tuple[str, "h.Node"]]
Missing = dict[str, list[str]]  # facts that are unknown, by what they are of


def missing_in_words(missing: Missing) -> str:
    """Return them in one line; empty: all is known."""
    known = (f"{of}: {', '.join(facts)}" if facts else of for of, facts in missing.items())
    return "; ".join(known)


def domain(incident: Incident, missing: Missing) -> h.Node:
    domain = incident.domain
    facts: list[tuple[str, h.Node]]
    if domain is None:
        known = incident.scope is not None
        limit_of = "of no cgroup, as far as is known" if known else unknown()
        facts = [("limit", limit_of), ("capacity", amount(incident.oom.total_bytes))]
        return _card("domain", "What ran out", facts, missing, "what ran out")
    facts = [
        ("cgroup", name(domain.cgroup, PATH_COLUMNS)),
        ("used", amount(domain.usage_bytes)),
        ("limit", limit(domain.limit_bytes)),
        ("peak", amount(domain.peak_bytes)),
        ("protected (memory.low)", amount(domain.low_bytes)),
        ("swap used", amount(domain.swap_usage_bytes)),
        ("swap limit", limit(domain.swap_limit_bytes)),
        ("swappiness", number(domain.swappiness)),
        ("capacity", amount(incident.oom.total_bytes)),
    ]
    facts += _made_of(domain)
    return _card("domain", "The limit that was reached", facts, missing, "the limit")


def _made_of(domain: Domain) -> Facts:
    """What the bar has as one, and what it may have none of."""
    breakdown = of_cgroup(domain)
    for part in () if breakdown is None else breakdown.parts:
        if part.parts:
            for each in _smallest(part):
                yield f"{part.words}: {each.words}", amount(each.bytes)
        elif part.seldom and not part.is_rest:
            yield part.words, amount(part.bytes)


def _smallest(part: Part) -> Iterator[Part]:
    """What is made of nothing further."""
    for each in part.parts:
        if each.parts:
            yield from _smallest(each)
        elif each.bytes or not each.seldom:
            yield each


def victim(incident: Incident, missing: Missing) -> h.Node:
    victim = incident.victims[0]
    return _card(
        "victim",
        "What was killed" if len(incident.victims) == 1 else "What was killed first",
        [
            ("process", task(victim.command, victim.pid)),
            *_command_line(victim),
            ("pid in its container", _pid(victim.pid_in_container)),
            ("started by", task(victim.parent_command, victim.ppid)),
            ("user id", _pid(victim.uid)),
            (
                "ran for",
                unknown() if victim.uptime_seconds is None else duration(victim.uptime_seconds),
            ),
            ("anonymous", amount(victim.rss.anon_bytes)),
            ("file mapped", amount(victim.rss.file_bytes)),
            ("shared", amount(victim.rss.shmem_bytes)),
            ("swapped out", amount(victim.swap_bytes)),
            ("page tables", amount(victim.pagetables_bytes)),
            ("peak", amount(victim.vm.hiwater_rss_bytes)),
            ("threads", number(victim.threads)),
            ("score", number(victim.points)),
            ("oom_score_adj", number(victim.oom_score_adj)),
            ("cgroup", name(victim.cgroup, PATH_COLUMNS)),
            ("cgroup used", amount(victim.usage_bytes)),
            ("cgroup limit", limit(victim.limit_bytes)),
        ],
        missing,
        "the process",
    )


def _pid(pid: int | None) -> h.Node:
    """A name, not an amount: no thousands apart."""
    return unknown() if pid is None else str(pid)


def _command_line(victim: Victim) -> Facts:
    """Only where it was asked for, and could be read."""
    return [("command line", name(victim.cmdline, CMDLINE_COLUMNS))] if victim.cmdline else []


def trigger(incident: Incident, missing: Missing) -> h.Node:
    trigger, oom = incident.trigger, incident.oom
    title = "Who asked for memory"
    if oom.order == SYSRQ_ORDER:
        facts = [("asked", "nobody: sysrq-f was pressed")]
        return _card("trigger", title, facts, missing, "who asked")
    process = task(trigger.command, trigger.pid)
    same = trigger.pid is not None and trigger.pid == incident.victims[0].pid
    return _card(
        "trigger",
        title,
        [
            ("process", [process, ", the one killed"] if same else process),
            *_doing(trigger),
            ("pages asked for", _pages(oom.order)),
            ("gfp mask", unknown() if oom.gfp_mask is None else f"{oom.gfp_mask:#x}"),
            ("cgroup", name(trigger.cgroup, PATH_COLUMNS)),
            ("container", _asker(incident, trigger)),
        ],
        missing,
        "who asked",
    )


def _doing(trigger: Trigger) -> Facts:
    """Only where it is known: most records of the past do not have it."""
    if trigger.by is None:
        return []
    return [("doing", name(BY.get(trigger.by, trigger.by)))]


def _pages(order: int | None) -> h.Node:
    """2 to its power; of an order no kernel has, the order: its power may have any size."""
    if order is None:
        return unknown()
    return number(1 << order) if 0 <= order <= ORDER_MAX else f"order {order}"


def _asker(incident: Incident, trigger: Trigger) -> h.Node:
    if trigger.cgroup is None and trigger.container_id is None:
        return unknown()
    if trigger.container_id is None:
        return h.span(".unknown")["none or unknown"]
    if trigger.container_id == incident.container.id:
        return "the same"
    other = trigger.container
    return name((other and other.name) or short_id(trigger.container_id))


def _card(key: str, title: str, facts: Facts, missing: Missing, of: str) -> h.Node:
    """Show what is known; None where nothing is."""
    known = []
    for what, fact in facts:
        if fact is unknown():
            missing.setdefault(of, []).append(what)
        else:
            known.append((what, fact))
    if not known:
        return None
    return h.section(".card", aria_labelledby=key)[
        h.h2(f"#{key}")[title],
        h.dl(".facts")[(h.div[h.dt[what], h.dd[fact]] for what, fact in known)],
    ]


def victims(incident: Incident) -> h.Element:
    victims, unlisted = incident.victims, incident.unlisted
    more = len(victims) - VICTIMS_MAX
    return h.section(".card", aria_labelledby="victims")[
        h.h2("#victims")[f"{incident.kills} processes killed together"],
        _table(
            "Processes killed",
            ("process", "anonymous", "file", "shared", "swap", "adj", "ran for"),
            (
                (
                    task(victim.command, victim.pid),
                    amount(victim.rss.anon_bytes),
                    amount(victim.rss.file_bytes),
                    amount(victim.rss.shmem_bytes),
                    amount(victim.swap_bytes),
                    number(victim.oom_score_adj),
                    unknown() if victim.uptime_seconds is None else duration(victim.uptime_seconds),
                )
                for victim in victims[:VICTIMS_MAX]
            ),
        ),
        h.p(".remark")[f"And {more} more, in the raw record."] if more > 0 else None,
        None if unlisted is None else h.p(".remark")[_left_out(unlisted)],
    ]


def _left_out(unlisted: Unlisted) -> str:
    words = f"{unlisted.victims} others are in no list: none of them held more than these"
    resident = unlisted.rss.total_bytes()
    return f"{words}." if resident is None else f"{words}, and all together {size(resident)}."


def candidates(incident: Incident, missing: Missing) -> h.Node:
    candidates = incident.candidates
    if candidates is None:
        missing["who was spared"] = []
        return None
    shown: h.Node
    if not candidates:
        shown = h.p["None: there was no other process to kill."]
    else:
        shown = _table(
            "The largest other processes the kernel considered",
            ("process", "resident", "adj", "score"),
            (
                (
                    [task(each.command, each.pid), _whose(each, incident)],
                    amount(each.rss_bytes),
                    number(each.oom_score_adj),
                    number(each.points),
                )
                for each in candidates
            ),
        )
    return h.section(".card", aria_labelledby="candidates")[
        h.h2("#candidates")["Who was spared"], shown
    ]


def _whose(candidate: Candidate, incident: Incident) -> h.Node:
    """Which of the pod's containers it is in, where that is another."""
    own = incident.container
    if candidate.container is None or candidate.container in (own.name, own.id):
        return None
    if candidate.container == SANDBOX:
        return h.span(".pid")[" of the pod's sandbox"]
    return h.span(".pid")[" of ", name(short_id(candidate.container))]


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[h.Node]]) -> h.Element:
    return h.div(".wide", role="region", aria_label=title, tabindex="0")[
        h.table[
            h.caption(".unseen")[title],
            h.thead[h.tr[(h.th(scope="col")[text] for text in heads)]],
            h.tbody[
                (
                    h.tr[h.th(scope="row")[first], (h.td[cell] for cell in rest)]
                    for first, *rest in rows
                )
            ],
        ]
    ]
