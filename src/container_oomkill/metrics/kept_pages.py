# SPDX-License-Identifier: Apache-2.0
"""Takes the metrics, gives their page, compressed, without writing again what has not changed.

Between two scrapes hardly ever is there a kill, and no container comes or goes. So what these
change, nearly all of the page, is kept as the compressor left it; a copy of the compressor adds
what the exporter says of itself, which is never the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from .exposition import content_type_of, ending, new_packer, pieces_of, wants_openmetrics

if TYPE_CHECKING:
    from zlib import _Compress as Packer

    from .metrics import Metrics

FORMATS = 2  # kept at once, of as many kinds of clients; a compressor takes 260 KiB


@dataclass(frozen=True, slots=True)
class _Kept:
    """The part of a page that stays as long as the version does."""

    version: int
    begin: bytes  # of the page: its containers
    packer: Packer  # what follows is compressed by a copy of it


class KeptPages:
    """Not locked: the web server's thread has it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kept: dict[str, _Kept] = {}  # by content type, the latest comes last

    def packed(self, accept: str) -> bytes:
        """Return the page of this moment in the format this Accept header asks for."""
        content_type = content_type_of(accept)
        kept = self._kept.pop(content_type, None)
        moment = self._metrics.moment(
            created=wants_openmetrics(accept), known=None if kept is None else kept.version
        )
        if kept is None or kept.version != moment.version:
            packer = new_packer()
            begin = b"".join(map(packer.compress, pieces_of(moment.containers, accept)))
            kept = _Kept(moment.version, begin, packer)
        self._kept[content_type] = kept
        if len(self._kept) > FORMATS:
            del self._kept[next(iter(self._kept))]
        packer = kept.packer.copy()
        rest = chain(pieces_of(moment.itself, accept), ending(accept))
        return b"".join((kept.begin, *map(packer.compress, rest), packer.flush()))
