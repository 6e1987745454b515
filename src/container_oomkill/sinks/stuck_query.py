# SPDX-License-Identifier: Apache-2.0
"""Which episodes out of memory without a kill a `Query` asks for: as it asks for kills."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..stuck.model import Stuck
from .name_filters import is_asked_for
from .query import Query
from .stuck_names import stuck_subject


def stuck_matches(query: Query, stuck: Stuck) -> bool:
    """``since`` asks for what went on after it, ``until`` for what began before it.

    A scope is what a kill was for, so whoever asks for one asks for none of these.
    """
    return is_asked_for(query, stuck_subject(stuck))


def matching_stuck(query: Query, newest_first: Iterable[Stuck]) -> Iterator[Stuck]:
    """Yield what matches, in the order given."""
    return (stuck for stuck in newest_first if stuck_matches(query, stuck))
