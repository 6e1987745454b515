# SPDX-License-Identifier: Apache-2.0
"""The whole flow of a kill: ring -> incident -> whose -> why -> sinks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence

from . import diagnosis
from .assembly import Assembler
from .errors import RecordError
from .host import read_host
from .identity import resolve as resolve_by_path
from .incident import Decoder, Incident
from .kernel_kills import read_kernel_kills
from .probe import Probe
from .stop import Stop

Sink = Callable[[Incident], None]


class Pipeline:
    """Delivers what a probe records to every sink, until stopped."""

    def __init__(
        self,
        probe: Probe,
        sinks: Sequence[Sink],
        *,
        node: str | None = None,
        resolve: Callable[[Incident], Incident] = resolve_by_path,
        on_broken_record: Callable[[], None] = lambda: None,
    ) -> None:
        """``resolve``: names the container; ``on_broken_record``: counts what made no sense."""
        self._probe = probe
        self._sinks = sinks
        self._node = node
        self._resolve = resolve
        self._on_broken_record = on_broken_record
        self._lost = 0
        self._assembler = Assembler(
            Decoder(read_host(node)), time.monotonic, read_kernel_kills, probe.kills_before
        )

    def run(
        self,
        stop: Stop,
        *,
        count: int | None = None,
        beat: Callable[[], None] = lambda: None,
        beat_seconds: float | None = None,
    ) -> None:
        """Deliver incidents until ``stop`` is set, or ``count`` of them are out.

        ``beat`` is called at every turn, at least every ``beat_seconds``.
        """
        ring = self._probe.ring
        ring.watch(stop.event, readable=True)
        if stop.output is not None:
            ring.watch(stop.output, readable=False)
        delivered = 0
        while not stop.is_set():
            beat()
            self._say_what_was_lost()
            self._assembler.decoder.host = read_host(self._node)
            for incident, release in self._completed():
                self._deliver(incident, release)
                delivered += 1
                if stop.is_set() or delivered == count:
                    return
            waits = (self._assembler.seconds_left(), beat_seconds)
            ring.wait(min((wait for wait in waits if wait is not None), default=None))

    def _completed(self) -> Iterator[tuple[Incident, int]]:
        """Yield the incidents that are whole, with the position to release up to."""
        for data, position in self._probe.ring.read():
            try:
                yield from self._assembler.take(data, position)
            except RecordError as error:
                self._on_broken_record()
                print(  # noqa: T201 - the user's line
                    f"container-oomkill: skipped a record: {error}", file=sys.stderr
                )
        yield from self._assembler.overdue()

    def _say_what_was_lost(self) -> None:
        lost = self._probe.counters()["lost_ring_full"]
        if lost > self._lost:
            words = f"{lost - self._lost} records lost, the ring was full: a larger --ring-bytes"
            print(f"container-oomkill: {words}", file=sys.stderr)  # noqa: T201 - the user's line
            self._lost = lost

    def _deliver(self, incident: Incident, release: int) -> None:
        """A record leaves the ring only when every sink has taken it."""
        incident = diagnosis.explain(self._resolve(incident))
        for sink in self._sinks:
            sink(incident)
        self._probe.ring.release(release)
