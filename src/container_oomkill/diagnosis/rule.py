# SPDX-License-Identifier: Apache-2.0
"""What a rule is: when it applies, what it says, and what to do then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..incident.model import Incident


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next; ``link``: where to read on, relative to docs; ``name``: its section."""

    text: str
    link: str

    @property
    def name(self) -> str:
        return self.link.partition("#")[2]


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table.

    ``name``: its section in docs/verdicts.md. ``says``: words for the verdict, None where the rule
    does not apply or a number it needs is unknown. ``advice``: the next step, in the imperative;
    empty where there is nothing to do. ``instead``: it comes first, and in the place of what the
    cause advises, which would be to raise a limit that is not to blame. ``numbers``: what this
    incident adds to the advice, a sentence.
    """

    name: str
    says: Callable[[Incident], str | None]
    advice: str = ""
    instead: bool = False
    numbers: Callable[[Incident], str | None] | None = None

    def step(self, incident: Incident) -> Step:
        """Return what to do about this incident."""
        more = None if self.numbers is None else self.numbers(incident)
        return Step(f"{self.advice} {more}" if more else self.advice, f"verdicts.md#{self.name}")
