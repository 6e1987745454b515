# SPDX-License-Identifier: Apache-2.0
"""Keeps the latest kills by others in memory, newest first, for the web pages and the API."""

from __future__ import annotations

from ..killers.model import Kill
from ..sinks.kill_names import kill_key
from .latest import Latest


class KillHistory(Latest[Kill]):
    """Call it with each kill; `newest_first` from any thread."""

    def __init__(self, max_kills: int = 256) -> None:
        super().__init__(kill_key, max_kills)
