# SPDX-License-Identifier: Apache-2.0
"""Converts a `Kill` into its record of docs/record.md, as plain objects or JSON, and back."""

from __future__ import annotations

import json
from typing import Any

from ..killers.model import Kill
from .record import is_of, made_of, object_of

KILL = "kill"
KILLS_SUFFIX = ".kills"  # of their file beside a history of incidents


def kill_to_object(kill: Kill) -> dict[str, Any]:
    """Return the record; json.dumps takes it as it is."""
    return object_of(KILL, kill)


def kill_from_object(record: Any) -> Kill:
    """Return the kill of a record; `RecordError` names the first thing wrong in it."""
    return made_of(KILL, Kill, record)


def is_kill(record: Any) -> bool:
    """Tell whether a record says that it is one of these."""
    return is_of(KILL, record)


def render_kill(kill: Kill) -> str:
    """Return the record as JSON in ASCII, without a line end."""
    return json.dumps(kill_to_object(kill), separators=(",", ":"))
