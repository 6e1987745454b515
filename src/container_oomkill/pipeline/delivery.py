# SPDX-License-Identifier: Apache-2.0
"""Takes records from one ring to every sink: ring -> incident -> identity -> diagnosis -> sinks.

A record leaves the ring only after every sink has taken it. Deliveries are entered into the
checkpoint first, so that the next process skips them after a crash.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from ..diagnosis import verdict
from ..diagnosis.recent import Recent
from ..errors import RecordError
from ..incident.assembler import Assembler
from ..incident.decoder import Decoder
from ..incident.host import read_host
from ..incident.model import Host, Incident
from ..incident.stack_decoder import Symbols
from ..libbpf.ring import Ring
from ..probe.checkpoint import Checkpoint
from ..probe.kernel_counts import kernel_count, read_kernel_kills, seen_so_far
from ..system import log

Sink = Callable[[Incident], None]
Lost = Callable[[str, int], None]  # why, and how many records
SETTLE_SECONDS = 2.0  # for a sink with a queue, before an older ring goes
LOOK_AGAIN_SECONDS = 0.1  # whether a sink with a queue has written


class Buffered(Protocol):
    """A sink with a queue: what it has not written stays in the ring, as long as there is room."""

    def oldest(self) -> int | None:
        """Return the number of the oldest incident that is not written yet; None: all are."""


class Source(Protocol):
    """Hooks and their ring: the probe's own, or a generation of another version's."""

    number: int  # among the pinned ones

    @property
    def ring(self) -> Ring: ...

    def counters(self) -> dict[str, int]: ...

    def attached_at(self) -> float: ...


class Delivery:
    """Reads one source after another; `read_from` first."""

    source: Source
    keep: bool  # nothing leaves the ring for now

    def __init__(
        self,
        checkpoint: Checkpoint,
        sinks: Sequence[Sink],
        *,
        count: Sink,
        buffered: Sequence[Buffered],
        node: str | None,
        complete: Callable[[Incident], Incident],
        resolve: Callable[[Incident], Incident],
        on_lost: Lost,
        wanted: Callable[[Incident], bool] | None,
        symbols: Symbols,
    ) -> None:
        self.heartbeat: Callable[[], None] = lambda: None  # called for each record read
        self.read_host: Callable[[], Host] = partial(read_host, node)
        self.checkpoint = checkpoint
        self.delivered = 0
        self._count = count
        self._sinks = sinks
        self._buffered = buffered
        self._complete = complete
        self._resolve = resolve
        self._on_lost = on_lost
        self._wanted = wanted
        self._symbols = symbols
        self._recent = Recent()
        # number, kills, position: not in the checkpoint yet
        self._given: deque[tuple[int, int, int]] = deque()

    def read_from(
        self, source: Source, *, first: int | None = None, keep: bool = False, counted: bool = False
    ) -> None:
        """Begin with a source; ``counted``: the metrics know what its ring has lost."""
        self.source = source
        self.keep = keep
        self._counted = counted
        self._assembler = Assembler(
            Decoder(self.read_host(), self._symbols),
            time.monotonic,
            read_kernel_kills,
            self.checkpoint.kills,
            first=self.checkpoint.first if first is None else first,
            complete=self._complete,
        )
        self._missing = 0

    def completed(self) -> Iterator[tuple[Incident, int]]:
        """Yield the incidents that are whole, with the position to release up to."""
        self._assembler.decoder.host = self.read_host()
        for data, position in self.source.ring.read():
            self.heartbeat()  # thousands may wait, and more may come than one turn ever reads
            try:
                yield from self._assembler.take(data, position)
            except RecordError as error:
                self.lose("broken_record", 1, str(error))
            self._make_room()
        yield from self._assembler.overdue()

    def flush(self) -> Iterator[tuple[Incident, int]]:
        """Yield what is not whole, as nothing more will come."""
        yield from self._assembler.flush()

    def deliver(self, incident: Incident, position: int) -> None:
        """Give it to every sink, unless a process before this one has, and was killed then."""
        kills = 0
        if incident.sequence > self.checkpoint.incident:
            kills = self._kernel_count(incident)
            scoped = verdict.add_scope(self._resolve(incident))
            self._count(scoped)
            explained = self._recent.add_verdict(scoped)
            self._say_lacking(explained)
            if self._wanted is None or self._wanted(explained):
                for sink in self._sinks:
                    sink(explained)
                self.delivered += 1
        self._given.append((incident.sequence, kills, position))
        self.release()

    def _say_lacking(self, incident: Incident) -> None:
        """Say whose the victims are that the ring had no room for; they are counted elsewhere."""
        if lacking := self._assembler.lacking.pop(incident.sequence, 0):
            whose = incident.container.name or incident.victims[0].cgroup or "an unknown cgroup"
            log.warn(f"incident {incident.id} of {whose} lacks {lacking} of its victims")

    def _kernel_count(self, incident: Incident) -> int:
        """As far as the kernel has counted it: of a group that is one more, or not."""
        kills, before = kernel_count(incident), self.checkpoint.kills
        now = read_kernel_kills() if incident.oom.group and before is not None else None
        if now is None or before is None:
            return kills
        waiting = sum(given for _, given, _ in self._given)
        return max(incident.kills, seen_so_far(kills, now - before - waiting))

    def release(self, *, ring_ends: bool = False) -> None:
        """Enter what every sink has into the checkpoint, then give it back to the kernel.

        Of what a queue still has, half the ring is kept: the rest is for new records.
        ``ring_ends``: nothing is kept, as this ring is to go.
        """
        waiting = [number for each in self._buffered if (number := each.oldest()) is not None]
        oldest = min(waiting, default=None)
        ring = self.source.ring
        while self._given:
            number, kills, position = self._given[0]
            room = self.keep or ring.kept() <= ring.size // 2
            if oldest is not None and number >= oldest and room and not ring_ends:
                return
            self._given.popleft()
            if kills:
                self.checkpoint.delivered(number, kills)
            if not self.keep:
                ring.release(position)

    def settle(self) -> None:
        """Give the queues a moment, then release what they have written."""
        deadline = time.monotonic() + SETTLE_SECONDS
        self.release()
        while self._given and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_SECONDS)
            self.release()

    def wait(self, *limits: float | None) -> None:
        """Sleep until there is something to read, or to look after; at most the least of these."""
        waits = [self._assembler.seconds_left(), *limits]
        if self._given and not self.keep:
            waits.append(LOOK_AGAIN_SECONDS)
        self.source.ring.wait(min((wait for wait in waits if wait is not None), default=None))

    def _make_room(self) -> None:
        """Give back what is in memory of a group that fills half the ring: its rest needs room.

        If we are killed before the group is complete, these victims are lost. Otherwise every kill
        until the kernel's end mark would be lost, and the mark as well.
        """
        ring, held = self.source.ring, self._assembler.held()
        if held is None or self.keep or ring.kept() <= ring.size // 2:
            return
        self.release()
        if not self._given and ring.kept() > ring.size // 2:
            ring.release(held)

    def report_lost(self) -> None:
        """Say and count what the ring had no room for, and what else is missing."""
        lost, before = self.source.counters()["lost_ring_full"], self.checkpoint.lost
        if lost > before:
            _warn(lost - before, "ring buffer full (increase --ring-bytes)")
            if not self._counted:
                self._on_lost("ring_full", lost - before)
            self.checkpoint.reported_lost(lost)
        missing = self._assembler.missing - lost
        if missing > self._missing:
            self.lose("gap", missing - self._missing, "missing from the sequence")
            self._missing = missing

    def lose(self, reason: str, records: int, words: str) -> None:
        self._on_lost(reason, records)
        _warn(records, words)


def _warn(records: int, words: str) -> None:
    log.warn(f"dropped {records} record{'s' * (records != 1)}: {words}")
