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

from ..incident.model import Incident
from .causes import CAUSES
from .memory_kinds import MEMORY_KINDS, find_memory_kinds
from .observations import OBSERVATIONS
from .rule import Rule, Step
from .scope import find_scope

__all__ = ["RULES", "Rule", "Step", "explain", "find_scope", "find_verdict", "next_steps"]

RULES: tuple[Rule, ...] = (*CAUSES, *MEMORY_KINDS, *OBSERVATIONS)


def explain(incident: Incident) -> Incident:
    """Return the incident with ``scope`` and ``verdict`` filled in, as far as they are known."""
    incident = incident.changed(scope=find_scope(incident))
    return incident.changed(verdict=find_verdict(incident))


def find_verdict(incident: Incident) -> str | None:
    """Return the sentence of an incident whose scope is known; None where nothing is known."""
    cause, places, remarks = _applying(incident)
    if cause is None:
        return None
    sentence = f"apparently {cause[1]}" if incident.inferred else cause[1]
    if places:
        sentence += ": " + ", ".join(words for _, words in places)
    return "; ".join([sentence, *(words for _, words in remarks)])


def next_steps(incident: Incident) -> tuple[Step, ...]:
    """Return what to do about it, the most telling first, from the rules of its verdict."""
    cause, places, remarks = _applying(incident)
    if cause is None:
        return ()
    applying = (rule for rule, _ in (*places, *remarks, cause))
    return tuple(rule.step() for rule in applying if rule.advice)


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
