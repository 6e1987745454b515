# SPDX-License-Identifier: Apache-2.0
"""What a history file is of: how one line is written and read, and whose it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..sinks.json_lines import render
from ..sinks.kill_names import kill_key
from ..sinks.kill_record import KILLS_SUFFIX, kill_from_object, render_kill
from ..sinks.names import Key, container_key
from ..sinks.record import from_object
from ..sinks.stuck_names import stuck_key
from ..sinks.stuck_record import STUCK_SUFFIX, render_stuck, stuck_from_object


@dataclass(frozen=True, slots=True)
class Form:
    """Of one kind of record, each of which has an ``id``."""

    what: str  # in messages
    render: Callable[[Any], str]
    read: Callable[[Any], Any]  # from an object; raises `RecordError`
    key: Callable[[Any], Key]
    suffix: str = ""  # of the file beside that of the incidents


INCIDENTS = Form("incidents", render, from_object, container_key)
KILLS = Form("kills by others", render_kill, kill_from_object, kill_key, KILLS_SUFFIX)
STUCK = Form("what was stuck", render_stuck, stuck_from_object, stuck_key, STUCK_SUFFIX)
