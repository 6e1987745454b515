# SPDX-License-Identifier: Apache-2.0
"""Converts a `Stuck` into its record of docs/record.md, as plain objects or JSON, and back."""

from __future__ import annotations

import json
from typing import Any

from ..stuck.model import Stuck
from .record import is_of, made_of, object_of

STUCK = "stuck"
STUCK_SUFFIX = ".stuck"  # of their file beside a history of incidents


def stuck_to_object(stuck: Stuck) -> dict[str, Any]:
    """Return the record; json.dumps takes it as it is."""
    return object_of(STUCK, stuck)


def stuck_from_object(record: Any) -> Stuck:
    """Return the episode of a record; `RecordError` names the first thing wrong in it."""
    return made_of(STUCK, Stuck, record)


def is_stuck(record: Any) -> bool:
    """Tell whether a record says that it is one of these."""
    return is_of(STUCK, record)


def render_stuck(stuck: Stuck) -> str:
    """Return the record as JSON in ASCII, without a line end."""
    return json.dumps(stuck_to_object(stuck), separators=(",", ":"))
