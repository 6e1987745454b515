# SPDX-License-Identifier: Apache-2.0
"""The whole flow of a kill: ring -> incident -> whose -> why -> sinks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from ..diagnosis import verdict
from ..errors import RecordError
from ..identity.resolver import resolve as resolve_by_path
from ..incident.assembler import Assembler
from ..incident.decoder import Decoder
from ..incident.host import read_host
from ..incident.model import NS, Incident
from ..libbpf.ring import Ring
from ..probe.checkpoint import Checkpoint
from ..probe.kernel_counts import kernel_count, read_kernel_kills
from ..probe.pins import Generation
from ..probe.probe import Probe
from ..system import log
from ..system.shutdown import ShutdownRequest

Sink = Callable[[Incident], None]
# Older hooks go on beside the ones that replace them for longer than any kill takes.
OVERLAP_SECONDS = 3.0
SETTLE_SECONDS = 2.0  # for a slow sink, before an older ring goes
LOOK_AGAIN_SECONDS = 0.1  # whether a slow sink has written


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


class Pipeline:
    """Delivers what a probe records to every sink, until stopped."""

    def __init__(
        self,
        probe: Probe,
        sinks: Sequence[Sink],
        *,
        slow: Sequence[Buffered] = (),
        node: str | None = None,
        complete: Callable[[Incident], Incident] = lambda incident: incident,
        resolve: Callable[[Incident], Incident] = resolve_by_path,
        on_lost: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        """``slow``: those of the sinks that have a queue; ``resolve``: names the container.

        ``complete``: adds to a record just read what will be gone soon; ``on_lost``: counts
        records lost on this side of the ring, by reason.
        """
        self._probe = probe
        self._sinks = sinks
        self._slow = slow
        self._node = node
        self._complete = complete
        self._resolve = resolve
        self._on_lost = on_lost
        self._checkpoint: Checkpoint = probe.checkpoint
        self._given: deque[tuple[int, int, int]] = (
            deque()
        )  # number, kills, position: in no checkpoint
        self._seen: dict[tuple[int | None, int | None], Incident] = {}  # by victim
        self._delivered = 0
        self._read_from(probe)

    def run(
        self,
        stop: ShutdownRequest,
        *,
        count: int | None = None,
        heartbeat: Callable[[], None] = lambda: None,
        heartbeat_seconds: float | None = None,
    ) -> None:
        """Deliver incidents until ``stop`` is set, or ``count`` of them are out.

        ``heartbeat`` is called at every turn, at least every ``heartbeat_seconds``.
        """
        self._stop, self._count = stop, count
        self._heartbeat, self._heartbeat_seconds = heartbeat, heartbeat_seconds
        if self._probe.discarded:
            self._lose("foreign_layout", self._probe.discarded, "left by another version")
        following: list[Source] = [*self._probe.older[1:], self._probe]
        for before, after in zip(self._probe.older, following, strict=False):
            if not self._drain(before, after.attached_at()):
                return
            self._switch_to(after)
            before.remove()
        self._read_from(self._probe)
        self._turns(None)

    def _read_from(self, source: Source, *, first: int | None = None) -> None:
        self._source = source
        self._assembler = Assembler(
            Decoder(read_host(self._node)),
            time.monotonic,
            read_kernel_kills,
            self._checkpoint.kills,
            first=self._checkpoint.first if first is None else first,
            complete=self._complete,
        )
        self._keep = False
        self._missing = 0

    def _turns(self, until: float | None) -> bool:
        """Deliver what comes; False when it is time to end, True when it is ``until``."""
        ring, stop = self._source.ring, self._stop
        ring.watch(stop.event, readable=True)
        if stop.output is not None:
            ring.watch(stop.output, readable=False)
        while not stop.is_set():
            self._heartbeat()
            self._say_what_was_lost()
            self._assembler.decoder.host = read_host(self._node)
            if not self._deliver_all(self._completed()):
                break
            waits = [self._assembler.seconds_left(), self._heartbeat_seconds]
            if self._given and not self._keep:
                waits.append(LOOK_AGAIN_SECONDS)
            if until is not None:
                if (left := until - time.monotonic()) <= 0:
                    return True
                waits.append(left)
            ring.wait(min((wait for wait in waits if wait is not None), default=None))
        self._settle()
        return False

    def _completed(self) -> Iterator[tuple[Incident, int]]:
        """Yield the incidents that are whole, with the position to release up to."""
        for data, position in self._source.ring.read():
            try:
                yield from self._assembler.take(data, position)
            except RecordError as error:
                self._lose("broken_record", 1, str(error))
            self._make_room()
        yield from self._assembler.overdue()

    def _deliver_all(self, completed: Iterator[tuple[Incident, int]]) -> bool:
        """False when it is time to end."""
        for incident, position in completed:
            self._deliver(incident, position)
            if self._stop.is_set() or self._delivered == self._count:
                return False
        self._release()
        return True

    def _deliver(self, incident: Incident, position: int) -> None:
        """A record leaves the ring only when every sink has taken it."""
        if self._keep:
            self._seen[_victim(incident)] = incident
        if incident.sequence > self._checkpoint.incident:
            named = verdict.explain(self._resolve(incident))
            for sink in self._sinks:
                sink(named)
            self._delivered += 1
            self._given.append((incident.sequence, kernel_count(incident), position))
        else:  # a process before this one has delivered it, and was killed then
            self._given.append((incident.sequence, 0, position))
        self._release()

    def _release(self, *, ring_ends: bool = False) -> None:
        """Enter what every sink has into the checkpoint, then give it back to the kernel.

        Of what a slow sink has not written, half the ring is kept: the rest is for new records.
        ``ring_ends``: nothing is kept, as this ring is to go.
        """
        waiting = [number for each in self._slow if (number := each.oldest()) is not None]
        oldest = min(waiting, default=None)
        ring = self._source.ring
        while self._given:
            number, kills, position = self._given[0]
            room = self._keep or ring.kept() <= ring.size // 2
            if oldest is not None and number >= oldest and room and not ring_ends:
                return
            self._given.popleft()
            if kills:
                self._checkpoint.delivered(number, kills)
            if not self._keep:
                ring.release(position)

    def _make_room(self) -> None:
        """Give back what is in memory of a group that fills half the ring: its rest needs room.

        Whoever is killed before the group is whole loses these victims; else every kill would be
        lost until the kernel's end mark, which would be lost as well.
        """
        ring, held = self._source.ring, self._assembler.held()
        if held is None or self._keep or ring.kept() <= ring.size // 2:
            return
        self._release()
        if not self._given and ring.kept() > ring.size // 2:
            ring.release(held)

    def _settle(self) -> None:
        """Give slow sinks a moment, then release what they have written."""
        deadline = time.monotonic() + SETTLE_SECONDS
        self._release()
        while self._given and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_SECONDS)
            self._release()

    # --- from the hooks of another version to ours ---------------------------

    def _drain(self, older: Generation, newer_since: float) -> bool:
        """Deliver all that an older generation records until it is detached; False: stop.

        Both are attached for a while, so that no kill comes between, nor one of which each has
        seen a part. Until the newer one takes over, nothing leaves the older ring: whoever goes on
        after a crash finds again which kills both have.
        """
        self._read_from(older)
        self._keep = True
        # By a clock that may have been set meanwhile; never longer than the whole of it.
        left = min(OVERLAP_SECONDS, max(0.0, newer_since + OVERLAP_SECONDS - time.time()))
        if not self._turns(time.monotonic() + left):
            return False
        older.detach()
        return self._deliver_all(self._completed()) and self._deliver_all(self._assembler.flush())

    def _switch_to(self, newer: Source) -> None:
        """Skip in the newer ring what the older one had as well, and count on from there.

        What a slow sink has not written by now is in its queue alone.
        """
        self._settle()
        self._release(ring_ends=True)
        first, last = self._checkpoint.incident, None
        self._read_from(newer, first=0)
        for incident, position in (*self._completed(), *self._assembler.flush()):
            same = self._seen.get(_victim(incident))
            if same is not None and _at_once(same, incident):
                first, last = same.sequence - incident.sequence, position
        # First of all: who goes on from it skips by number what is not released yet, but could not
        # tell what number comes next of a ring whose first records are gone.
        self._checkpoint.switch_to(newer.number, first)
        if last is not None:
            newer.ring.release(last)
        newer.ring.rewind()
        self._seen.clear()

    # --- losses --------------------------------------------------------------

    def _say_what_was_lost(self) -> None:
        lost = self._source.counters()["lost_ring_full"]
        if lost > self._checkpoint.lost:
            _complain(lost - self._checkpoint.lost, "the ring was full: a larger --ring-bytes")
            if self._source is not self._probe:  # of which the metrics know
                self._on_lost("ring_full", lost - self._checkpoint.lost)
            self._checkpoint.reported_lost(lost)
        missing = self._assembler.missing - lost
        if missing > self._missing:
            self._lose("gap", missing - self._missing, "their numbers were skipped")
            self._missing = missing

    def _lose(self, reason: str, records: int, words: str) -> None:
        self._on_lost(reason, records)
        _complain(records, words)


def _complain(records: int, words: str) -> None:
    how_many = f"{records} record{'s' * (records != 1)}"
    log.warn(f"{how_many} lost: {words}")


def _victim(incident: Incident) -> tuple[int | None, int | None]:
    """Who was killed; no process is killed twice, and no pid comes again within the overlap."""
    victim = incident.victims[0]
    return victim.pid, victim.tid


def _at_once(one: Incident, other: Incident) -> bool:
    """What waited in an older ring may be of days ago, when another process had that pid."""
    return abs(one.boot_ns - other.boot_ns) < OVERLAP_SECONDS * NS
