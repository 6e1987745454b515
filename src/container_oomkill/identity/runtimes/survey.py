# SPDX-License-Identifier: Apache-2.0
"""Takes the runtimes' state folders, gives what is found in each: for `doctor`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .state import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .state import RuntimeState


@dataclass
class Survey:
    """One runtime's folders."""

    known: dict[str, int] = field(default_factory=dict)  # containers by folder
    missing: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # a word why
    damaged: Counter[str] = field(default_factory=Counter)  # containers' files, by a word why


def survey(sources: Iterable[RuntimeState]) -> dict[str, Survey]:
    """Return what there is of each runtime; users' homes are not walked."""
    found: dict[str, Survey] = {}
    for source in sources:
        if not source.watched():
            continue
        runtime = found.setdefault(source.runtime, Survey())
        if source.stamp() is None:
            runtime.missing.append(source.folder)
            continue
        try:
            keys = source.keys()
        except StateError as error:
            runtime.refused[source.folder] = error.reason
            continue
        runtime.known[source.folder] = 0
        for key in keys:
            try:
                runtime.known[source.folder] += source.find(key) is not None
            except StateError as error:
                runtime.damaged[error.reason] += 1
    return found
