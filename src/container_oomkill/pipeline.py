# SPDX-License-Identifier: Apache-2.0
"""The whole flow of a kill: ring -> incident -> whose -> why -> sinks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from . import diagnosis, identity
from .assembly import Assembler
from .errors import RecordError
from .host import read_host, read_kernel_kills
from .incident import Decoder, Incident
from .probe import Probe
from .stop import Stop

Sink = Callable[[Incident], None]


class Pipeline:
    """Delivers what a probe records to every sink, until stopped."""

    def __init__(self, probe: Probe, sinks: Sequence[Sink], *, node: str | None = None) -> None:
        self._probe = probe
        self._sinks = sinks
        self._node = node
        self._assembler = Assembler(Decoder(read_host(node)), time.monotonic, read_kernel_kills)
        self.delivered = 0
        self.broken_records = 0

    def run(self, stop: Stop, *, count: int | None = None) -> None:
        """Deliver incidents until ``stop`` is set, or ``count`` of them are out."""
        ring = self._probe.ring
        ring.watch(stop.event, readable=True)
        if stop.output is not None:
            ring.watch(stop.output, readable=False)
        while not stop.is_set():
            self._assembler.decoder.host = read_host(self._node)
            for data, position in ring.read():
                for incident, release in self._take(data, position):
                    self._deliver(incident, release)
                    if stop.is_set() or self.delivered == count:
                        return
            for incident, release in self._assembler.overdue():
                self._deliver(incident, release)
                if self.delivered == count:
                    return
            ring.wait(self._assembler.seconds_left())

    def _take(self, data: bytes, position: int) -> Sequence[tuple[Incident, int]]:
        try:
            return tuple(self._assembler.take(data, position))
        except RecordError as error:
            self.broken_records += 1
            print(f"container-oomkill: skipped a record: {error}", file=sys.stderr)  # noqa: T201
            return ()

    def _deliver(self, incident: Incident, release: int) -> None:
        """A record leaves the ring only when every sink has taken it."""
        incident = diagnosis.explain(identity.resolve(incident))
        for sink in self._sinks:
            sink(incident)
        self._probe.ring.release(release)
        self.delivered += 1
