# SPDX-License-Identifier: Apache-2.0
"""Takes the kills of others from their ring to their sinks: beside the flow of incidents.

OOM records come first: the pipeline calls this when it has delivered all of them, and what is taken
in one turn is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ..errors import RecordError
from ..identity.resolver import Resolver
from ..incident.host import read_host
from ..killers.attach import Killers
from ..killers.cause import explain
from ..killers.decoder import decode_kill
from ..killers.model import Kill
from ..killers.whose import is_of_interest, resolve_kill

A_TURN = 64  # records

KillSink = Callable[[Kill], None]


class PodEnds(Protocol):
    """Whoever is to be asked what a container's kill by its runtime was for, and takes a while."""

    def fileno(self) -> int: ...
    def ask(self, kill: Kill) -> bool: ...
    def answered(self) -> Iterable[Kill]: ...
    def left(self) -> Iterable[Kill]: ...


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
        pod_ends: PodEnds | None = None,
    ) -> None:
        self._ring = killers.ring
        self._sinks = sinks
        self._resolver = resolver
        self._node = node
        self._on_lost = on_lost
        self._wanted = wanted
        self._pod_ends = pod_ends

    def filenos(self) -> list[int]:
        """Return what is readable when there is something to deliver."""
        asked = [] if self._pod_ends is None else [self._pod_ends.fileno()]
        return [self._ring.fileno(), *asked]

    def deliver(self) -> bool:
        """Deliver what there is, up to so many; True: there may be more."""
        self._ring.wait(0)  # from here on, what comes makes it readable again
        if self._pod_ends is not None:
            self._tell(self._pod_ends.answered())
        host = None
        for taken, (data, position) in enumerate(self._ring.read(), start=1):
            host = host or read_host(self._node)
            try:
                kill = resolve_kill(decode_kill(data, host), self._resolver)
            except RecordError:
                self._on_lost("broken_record", 1)
            else:
                if is_of_interest(kill) and not (self._pod_ends and self._pod_ends.ask(kill)):
                    self._sink(kill)
            self._ring.release(position)
            if taken == A_TURN:
                return True
        return False

    def settle(self) -> None:
        """Deliver what waits for an answer, without it."""
        if self._pod_ends is not None:
            self._tell(self._pod_ends.answered())
            self._tell(self._pod_ends.left())

    def _tell(self, kills: Iterable[Kill]) -> None:
        for kill in kills:
            self._sink(explain(kill))

    def _sink(self, kill: Kill) -> None:
        if self._wanted is None or self._wanted(kill):
            for sink in self._sinks:
                sink(kill)
