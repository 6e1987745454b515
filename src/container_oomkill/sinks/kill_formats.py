# SPDX-License-Identifier: Apache-2.0
"""Opens the sink of kills by others, in each output format."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from ..killers.model import Kill

    KillSink = Callable[[Kill], None]


def open_kill_sink(output: str, stream: TextIO, *, colour: str = "auto") -> KillSink:
    """As `formats.open_sink`, for the same stream."""
    if output == "text":
        from .kill_text import KillText
        from .text import wants_colour

        return KillText(stream, colour=wants_colour(stream, colour))
    if output == "json":
        from .kill_record import render_kill as render
    else:
        from .kill_record import kill_to_object
        from .logfmt import line

        def render(kill: Kill) -> str:
            return line(kill_to_object(kill))

    def write(kill: Kill) -> None:
        stream.write(render(kill) + "\n")
        stream.flush()

    return write
