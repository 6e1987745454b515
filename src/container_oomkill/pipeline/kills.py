# SPDX-License-Identifier: Apache-2.0
"""Takes the kills of others from their ring to their sinks: beside the flow of incidents.

OOM records come first: the pipeline calls this when it has delivered all of them, and what is taken
in one turn is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import RecordError
from ..identity.resolver import Resolver
from ..incident.host import read_host
from ..killers.attach import Killers
from ..killers.decoder import decode_kill
from ..killers.model import Kill
from ..killers.whose import is_of_interest, resolve_kill

A_TURN = 64  # records

KillSink = Callable[[Kill], None]


class KillDelivery:
    """``wanted``: what the sinks get; None: everything that ended a container."""

    def __init__(
        self,
        killers: Killers,
        sinks: Sequence[KillSink],
        resolver: Resolver,
        *,
        node: str | None = None,
        on_lost: Callable[[str, int], None] = lambda *_: None,
        wanted: Callable[[Kill], bool] | None = None,
    ) -> None:
        self._ring = killers.ring
        self._sinks = sinks
        self._resolver = resolver
        self._node = node
        self._on_lost = on_lost
        self._wanted = wanted

    def fileno(self) -> int:
        """Return what is readable when there is something to deliver."""
        return self._ring.fileno()

    def deliver(self) -> bool:
        """Deliver what there is, up to so many; True: there may be more."""
        self._ring.wait(0)  # from here on, what comes makes it readable again
        host = None
        for taken, (data, position) in enumerate(self._ring.read(), start=1):
            host = host or read_host(self._node)
            try:
                kill = resolve_kill(decode_kill(data, host), self._resolver)
            except RecordError:
                self._on_lost("broken_record", 1)
            else:
                if is_of_interest(kill) and (self._wanted is None or self._wanted(kill)):
                    for sink in self._sinks:
                        sink(kill)
            self._ring.release(position)
            if taken == A_TURN:
                return True
        return False
