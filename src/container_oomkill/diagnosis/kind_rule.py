# SPDX-License-Identifier: Apache-2.0
"""What a rule of where the memory was is made of: its words, and the bytes it speaks of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..incident.model import Incident
from ..units import size
from .below import NOTABLE_PERCENT, percent
from .breakdown import Breakdown, find_breakdown, killed
from .rule import Rule

Says = Callable[[Incident, Breakdown], str | None]
Weighs = Callable[[Breakdown], int | None]


@dataclass(frozen=True, slots=True)
class KindRule:
    """A rule before it has its breakdown; ``weighs``: bytes it speaks of.

    ``parts``: the kinds of the breakdown that are told by its words.
    """

    name: str
    says: Says
    weighs: Weighs
    advice: str
    parts: tuple[str, ...] = ()

    def rule(self) -> Rule:
        def says(incident: Incident) -> str | None:
            breakdown = find_breakdown(incident)
            return None if breakdown is None else self.says(incident, breakdown)

        return Rule(self.name, says, self.advice)


def kind_rule(name: str, part: str, what: str, advice: str) -> KindRule:
    """The rule of a kind of memory; ``part``: its name in the breakdown."""

    def weighs(breakdown: Breakdown) -> int | None:
        return breakdown.bytes_of(part)

    def says(incident: Incident, breakdown: Breakdown) -> str | None:
        held = weighs(breakdown)
        share = percent(held, breakdown.usage_bytes)
        if held is None or share is None or share < NOTABLE_PERCENT:
            return None
        if breakdown.of_all:
            return share_of(breakdown, held, share) + what
        if share > 100:  # pages charged elsewhere, or shared: no share of this
            return f"{name_of_killed(incident)} had {size(held)} of {what}"
        return f"{share} % is {what} of {name_of_killed(incident)}"

    return KindRule(name, says, weighs, advice, (part,))


def share_of(breakdown: Breakdown, held: int, share: int) -> str:
    about = "approximately " if breakdown.approximate else ""
    if share > 100:  # the two were not read at the same instant
        return f"{about}{size(held)} is "
    return f"{about}{share} % ({size(held)}) is "


def notable(breakdown: Breakdown, held: int | None) -> str | None:
    """Open the words of what was a quarter or more of all that was charged."""
    share = percent(held, breakdown.usage_bytes)
    if held is None or share is None or share < NOTABLE_PERCENT or not breakdown.of_all:
        return None
    return share_of(breakdown, held, share)


def name_of_killed(incident: Incident) -> str:
    if len(killed(incident)) == 1:
        return incident.victims[0].command or "the victim"
    return f"the {incident.kills} processes killed"
