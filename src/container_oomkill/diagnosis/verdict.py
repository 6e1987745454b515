# SPDX-License-Identifier: Apache-2.0
"""Takes an incident whose container is known, gives it with its scope and its verdict.

The verdict is one sentence an on-call engineer can act on. It is made from three tables of rules:
what ran out (`CAUSES`, the first that applies), where the memory was (`MEMORY_KINDS`, the largest
first) and what else there is to know (`OBSERVATIONS`, all that apply). Every rule asks for the
numbers it uses: what is unknown is never counted as 0, and what was inferred is said to be.
docs/verdicts.md has a section for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..incident.before import Before
from ..incident.model import Incident
from ..units import ordinal
from .asked import find_by
from .causes import CAUSES
from .memory_kinds import MEMORY_KINDS, find_memory_kinds
from .observations import OBSERVATIONS
from .rule import Rule, Step
from .scope import find_scope
from .shape import find_shape

__all__ = [
    "RULES",
    "Rule",
    "Step",
    "add_scope",
    "explain",
    "find_scope",
    "find_verdict",
    "next_steps",
]

NOT_BY_USAGE = (None, "manual")  # what the kernel side knows by other signs, or does not know

RULES: tuple[Rule, ...] = (*CAUSES, *MEMORY_KINDS, *OBSERVATIONS)


def explain(incident: Incident, same_write: int = 1) -> Incident:
    """Return the incident with scope, shape, ``trigger.by`` and verdict, as far as they are known.

    ``same_write``: which kill it is of those that one write of a limit asked for (`recent`).
    """
    incident = add_scope(incident)
    return incident.changed(verdict=find_verdict(incident, same_write))


def add_scope(incident: Incident) -> Incident:
    """Return the incident with scope, shape and ``trigger.by``: all that is counted of it."""
    return incident.changed(
        scope=find_scope(incident),
        before=_shaped(incident),
        trigger=replace(incident.trigger, by=find_by(incident)),
    )


def _shaped(incident: Incident) -> Before | None:
    """What came before, with its shape; what an earlier version concluded is not kept."""
    before = incident.before
    if before is None:
        return None
    found = find_shape(incident)
    recording = before.usage.domain or before.usage.victim
    return replace(
        before,
        shape=None if found is None else found.shape,
        growth_bytes_per_second=None if found is None else found.growth_bytes_per_second,
        at_limit_seconds=None if recording is None else recording.at_limit_seconds,
    )


def find_verdict(incident: Incident, same_write: int = 1) -> str | None:
    """Return the sentence of an incident whose scope is known; None where nothing is known."""
    cause, places, remarks = _applying(incident)
    if cause is None:
        return None
    sure = not incident.inferred or incident.scope in NOT_BY_USAGE
    sentence = cause[1] if sure else f"apparently {cause[1]}"
    if places:
        sentence += ": " + ", ".join(words for _, words in places)
    more = [words for _, words in remarks]
    if same_write > 1:
        more.append(f"it is the {ordinal(same_write)} kill of the same write")
    return "; ".join([sentence, *more])


def next_steps(incident: Incident) -> tuple[Step, ...]:
    """Return what to do about it, the most telling first, from the rules of its verdict."""
    cause, places, remarks = _applying(incident)
    if cause is None:
        return ()
    first = [rule for rule, _ in remarks if rule.instead]
    rest = [rule for rule, _ in (*places, *remarks) if not rule.instead]
    last = [] if first else [cause[0]]
    return tuple(rule.step(incident) for rule in (*first, *rest, *last) if rule.advice)


Said = tuple[Rule, str]


def _applying(incident: Incident) -> tuple[Said | None, list[Said], list[Said]]:
    return (
        next(_said(CAUSES, incident), None),
        find_memory_kinds(incident),
        list(_said(OBSERVATIONS, incident)),
    )


def _said(rules: tuple[Rule, ...], incident: Incident) -> Iterator[Said]:
    for rule in rules:
        if words := rule.says(incident):
            yield rule, words
