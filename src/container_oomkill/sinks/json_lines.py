# SPDX-License-Identifier: Apache-2.0
"""Writes an incident as one line of JSON, flushed when the call returns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

from .record import to_object

if TYPE_CHECKING:
    from ..incident.model import Incident


def render(incident: Incident) -> str:
    """Return the record as JSON in ASCII, without a line end: safe wherever it is shown."""
    return json.dumps(to_object(incident), separators=(",", ":"))


class JsonLines:
    """A sink; `container-oomkill replay` reads what it wrote."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, incident: Incident) -> None:
        self._stream.write(render(incident) + "\n")
        self._stream.flush()
