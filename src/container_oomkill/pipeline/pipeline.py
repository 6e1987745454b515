# SPDX-License-Identifier: Apache-2.0
"""Runs the flow until it is asked to stop, and hands over from older hooks to newer ones.

`Delivery` knows what happens to a record; this module knows when.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from ..identity.resolver import resolve as resolve_by_path
from ..incident.host import HostReader
from ..incident.model import Incident
from ..incident.stack_decoder import Symbols
from ..probe.pins import Generation
from ..probe.probe import Probe
from ..system.shutdown import ShutdownRequest
from ..units import NS
from .delivery import Buffered, Delivery, Lost, Sink, Source
from .kills import KillDelivery
from .stuck import StuckDelivery

# Older hooks go on beside the ones that replace them for longer than any kill takes.
OVERLAP_SECONDS = 3.0


class Pipeline:
    """Delivers what a probe records to every sink, until stopped."""

    def __init__(
        self,
        probe: Probe,
        sinks: Sequence[Sink],
        *,
        count: Sink = lambda _: None,
        buffered: Sequence[Buffered] = (),
        node: str | None = None,
        complete: Callable[[Incident], Incident] = lambda incident: incident,
        resolve: Callable[[Incident], Incident] = resolve_by_path,
        on_lost: Lost = lambda *_: None,
        wanted: Callable[[Incident], bool] | None = None,
        kills: KillDelivery | None = None,
        symbols: Symbols = lambda _: None,
        stuck: StuckDelivery | None = None,
    ) -> None:
        """``wanted``: what the sinks get, and what counts as delivered; None: everything.

        ``count``: takes every incident before the sinks do, complete but for its verdict, which
        takes as long to make as all the rest.

        ``buffered``: those of the sinks that have a queue; ``resolve``: names the container.

        ``kills``: those of others, delivered behind every incident there is; ``stuck``: what is out
        of memory without a kill, likewise.

        ``complete``: adds to a record just read what will be gone soon; ``on_lost``: counts
        records lost on this side of the ring, by reason; ``symbols``: names the kernel's functions.
        """
        self._probe = probe
        self._kills = kills
        self._stuck = stuck
        self._node = node
        self._checkpoint = probe.checkpoint
        self._delivery = Delivery(
            probe.checkpoint,
            sinks,
            count=count,
            buffered=buffered,
            node=node,
            complete=complete,
            resolve=resolve,
            on_lost=on_lost,
            wanted=wanted,
            symbols=symbols,
        )
        self._seen: dict[tuple[int | None, int | None], Incident] = {}  # by victim
        self._delivery.read_from(probe, counted=True)

    def run(
        self,
        stop: ShutdownRequest,
        *,
        count: int | None = None,
        heartbeat: Callable[[], None] = lambda: None,
        heartbeat_seconds: float | None = None,
    ) -> None:
        """Deliver incidents until ``stop`` is set, or ``count`` of them are out.

        ``heartbeat`` is called at every turn, at least every ``heartbeat_seconds``, however much
        there is to deliver.
        """
        self._stop, self._count = stop, count
        self._heartbeat, self._heartbeat_seconds = heartbeat, heartbeat_seconds
        self._delivery.heartbeat = self._beat_when_due
        with HostReader(self._node) as host:
            self._delivery.read_host = host.read
            self._run()

    def _run(self) -> None:
        self._beat()
        if self._probe.discarded:
            self._delivery.lose(
                "foreign_layout", self._probe.discarded, "written by an incompatible version"
            )
        following: list[Source] = [*self._probe.older[1:], self._probe]
        for before, after in zip(self._probe.older, following, strict=False):
            if not self._drain(before, after.attached_at()):
                return
            self._switch_to(after)
            before.remove()
        self._seen.clear()  # not before: of several that were attached at once, all have a kill
        self._delivery.read_from(self._probe, counted=True)
        self._turns(None)

    def _turns(self, until: float | None) -> bool:
        """Deliver what comes; False when it is time to end, True when it is ``until``."""
        ring, stop = self._delivery.source.ring, self._stop
        ring.watch(stop.event, readable=True)
        if stop.output is not None:
            ring.watch(stop.output, readable=False)
        for readable in () if self._kills is None else self._kills.filenos():
            ring.watch(readable, readable=True)
        if self._stuck is not None:
            ring.watch(self._stuck.fileno(), readable=True)
        while not stop.is_set():
            more = self._deliver(self._delivery.completed())
            # A record may be what ended the wait: whatever else there is to look after comes later.
            self._delivery.report_lost()
            if not more:
                break
            more = self._kills is not None and self._kills.deliver()
            if self._stuck is not None:
                self._stuck.deliver()
            self._beat()
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return True
            self._delivery.wait(left, self._heartbeat_seconds, 0.0 if more else None)
        if self._kills is not None:
            self._kills.settle()
        self._delivery.settle()
        return False

    def _beat(self) -> None:
        self._heartbeat()
        self._beat_due = time.monotonic() + (self._heartbeat_seconds or 0.0)

    def _beat_when_due(self) -> None:
        if self._heartbeat_seconds is not None and time.monotonic() >= self._beat_due:
            self._beat()

    def _deliver(self, completed: Iterator[tuple[Incident, int]]) -> bool:
        """False when it is time to end."""
        for incident, position in completed:
            if self._delivery.keep:
                self._seen[_victim(incident)] = incident
            self._delivery.deliver(incident, position)
            if self._stop.is_set() or self._delivery.delivered == self._count:
                return False
        self._delivery.release()
        return True

    # --- from the hooks of another version to ours ---------------------------

    def _drain(self, older: Generation, newer_since: float) -> bool:
        """Deliver all that an older generation records until it is detached; False: stop.

        Both are attached for a while, so that no kill comes between, nor one of which each has
        seen a part. Until the newer one takes over, nothing leaves the older ring, so that
        after a crash the next process finds again which kills both have.
        """
        self._delivery.read_from(older, keep=True)
        # By a clock that may have been set meanwhile; never longer than the whole of it.
        left = min(OVERLAP_SECONDS, max(0.0, newer_since + OVERLAP_SECONDS - time.time()))
        if not self._turns(time.monotonic() + left):
            return False
        older.detach()
        return self._deliver(self._delivery.completed()) and self._deliver(self._delivery.flush())

    def _switch_to(self, newer: Source) -> None:
        """Skip in the newer ring what the older one had as well, and count on from there.

        What a queue has not written by now is in the queue alone.
        """
        self._delivery.settle()
        self._delivery.release(ring_ends=True)
        first, last = self._checkpoint.incident, None
        self._delivery.read_from(newer, first=0, counted=newer is self._probe)
        for incident, position in (*self._delivery.completed(), *self._delivery.flush()):
            same = self._seen.get(_victim(incident))
            if same is not None and _at_once(same, incident):
                first, last = same.sequence - incident.sequence, position
        # First of all: who goes on from it skips by number what is not released yet, but could not
        # tell what number comes next of a ring whose first records are gone.
        self._checkpoint.switch_to(newer.number, first)
        if last is not None:
            newer.ring.release(last)
        newer.ring.rewind()


def _victim(incident: Incident) -> tuple[int | None, int | None]:
    """Who was killed; no process is killed twice, and no pid comes again within the overlap."""
    victim = incident.victims[0]
    return victim.pid, victim.tid


def _at_once(one: Incident, other: Incident) -> bool:
    """What waited in an older ring may be of days ago, when another process had that pid."""
    return abs(one.boot_ns - other.boot_ns) < OVERLAP_SECONDS * NS
