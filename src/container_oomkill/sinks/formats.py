# SPDX-License-Identifier: Apache-2.0
"""Opens the sink of an output format. A sink is a callable that takes an incident."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from ..incident.model import Incident

    Sink = Callable[[Incident], None]


def open_sink(output: str, stream: TextIO, *, colour: str = "auto") -> Sink:
    """Return the sink of an output format; ``colour``: auto, always or never, for text."""
    if output == "json":
        from .json_lines import JsonLines

        return JsonLines(stream)
    if output == "logfmt":
        from .logfmt import Logfmt

        return Logfmt(stream)
    from .text import Text, wants_colour

    return Text(stream, colour=wants_colour(stream, colour))
