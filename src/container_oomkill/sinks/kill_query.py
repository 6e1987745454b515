# SPDX-License-Identifier: Apache-2.0
"""Which kills by others a `Query` asks for: by the filters that incidents have, but scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..killers.model import Kill
from .kill_names import kill_subject
from .name_filters import is_asked_for
from .query import Query


def kill_matches(query: Query, kill: Kill) -> bool:
    """A scope is what ran out, so whoever asks for one asks for no kill of these."""
    return is_asked_for(query, kill_subject(kill))


def matching_kills(query: Query, newest_first: Iterable[Kill]) -> Iterator[Kill]:
    """Yield what matches, in the order given."""
    return (kill for kill in newest_first if kill_matches(query, kill))
