# SPDX-License-Identifier: Apache-2.0
"""Takes records in ring order, gives incidents, each with all of its victims.

Almost every incident has one victim and is complete at once. With memory.oom.group more victims
follow, up to the kernel's end mark. Where no end mark comes (raw tracepoint alone, or the mark was
lost), the incident is complete when the next one begins or when nothing more has come for a while.
Where a mark is expected, that while is longer than a kernel takes between two victims, even if the
CPU of the trigger is throttled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import RecordError
from . import wire
from .decoder import Decoder
from .group import Group
from .model import Incident
from .parts import Parts
from .wire import lib

# Longer than the kernel side's own limit between two victims of a group, GROUP_GAP_NS.
QUIET_SECONDS = 0.6
NO_END_SECONDS = 10.0


@dataclass(slots=True)
class _Open:
    """An incident whose end has not come; ``number``: its own, ``release``: its last position."""

    group: Group
    number: int
    release: int
    deadline: float
    missing: int = 0  # records that its numbers skip: victims, all of them


class Assembler:
    """Holds back a group's victims until the group is whole."""

    def __init__(
        self,
        decoder: Decoder,
        clock: Callable[[], float],
        kernel_kills: Callable[[], int | None],
        kills_before: int | None,
        *,
        first: int = 0,
        complete: Callable[[Incident], Incident] = lambda incident: incident,
    ) -> None:
        """``clock``: monotonic, seconds; ``kernel_kills``: the kernel's own count since boot.

        ``kills_before``: that count as of the last delivery; ``first``: added to the numbers
        of the incidents; ``complete``: adds, at once, what will be gone soon.
        """
        self.decoder = decoder
        self._clock = clock
        self._kernel_kills = kernel_kills
        self._kills_before = kills_before
        self._kills = 0
        self._first = first
        self._complete = complete
        self._sequence: int | None = None
        self.missing = 0  # records that the numbers skip
        self.lacking: dict[int, int] = {}  # of them, victims of an incident, by its sequence
        self._open: _Open | None = None
        self._parts = Parts(decoder)
        self._overdue: int | None = None  # the last incident that was not waited for any longer

    def take(self, data: bytes, position: int) -> Iterator[tuple[Incident, int]]:
        """Yield the incidents this record completes, with the position to release up to.

        Raises `RecordError` for an invalid record.
        """
        try:
            header = wire.header(data)
        except RecordError:
            if self._sequence is not None:
                self._sequence += 1  # it had the next one: that is no gap as well
            raise
        if self._sequence is not None:
            skipped = max(0, header["sequence"] - self._sequence - 1)
            self.missing += skipped
            if self._open and self._open.number == header["incident"]:
                self._open.missing += skipped
        self._sequence = header["sequence"]
        if self._open and self._open.number != header["incident"]:
            yield self._close()
        if header["kind"] == lib.OOMKILL_END:
            if self._open:
                self._open.release = position
                yield self._close()
            return
        if header["incident"] == self._overdue:
            raise RecordError(f"victim of incident {self._overdue}: it was already delivered")
        if header["kind"] in wire.PARTS:
            self._parts.take(header, data)
            return
        raw = wire.victim(data)
        if raw["flags"] & lib.OOMKILL_KILL_UNSURE and not self._is_kill():
            return
        # Of a group the kernel counts the chosen process twice.
        self._kills += 1 + bool(raw["flags"] & lib.OOMKILL_GROUP and not self._open)
        raw["header.incident"] += self._first
        alone = header["hook"] == lib.OOMKILL_HOOK_RAW_TRACEPOINT
        deadline = self._clock() + (QUIET_SECONDS if alone else NO_END_SECONDS)
        if self._open:
            raw["points"] = None  # those of the one that was chosen
            one = self._complete(self._open.group.one(self.decoder.victim(raw)))
            self._open.group.add(one.victims[0])
            self._open.release, self._open.deadline = position, deadline
            return
        incident = self._parts.added(self.decoder.decode(raw), header["incident"])
        incident = self._complete(incident)
        if incident.oom.group:
            self._open = _Open(Group(incident), header["incident"], position, deadline)
        else:
            yield incident, position

    def held(self) -> int | None:
        """Return up to which position the open incident's victims are in memory; None: none is."""
        return None if self._open is None else self._open.release

    def overdue(self) -> Iterator[tuple[Incident, int]]:
        """Yield the open incident if nothing more came for it."""
        if self._open and self._clock() >= self._open.deadline:
            self._overdue = self._open.number
            yield self._close()

    def flush(self) -> Iterator[tuple[Incident, int]]:
        """Yield the open incident: nothing more will come."""
        if self._open:
            yield self._close()

    def seconds_left(self) -> float | None:
        """How long to wait at most before asking `overdue`; None: nothing is open."""
        if self._open is None:
            return None
        return max(0.0, self._open.deadline - self._clock())

    def _close(self) -> tuple[Incident, int]:
        whole = self._open
        assert whole is not None  # noqa: S101 - callers have looked
        self._open = None
        # Twice for the chosen one was too much where the kernel found it gone.
        counted = self._counted()
        if counted is not None:
            self._kills = min(self._kills, max(0, counted))
        if whole.missing:
            self.lacking[whole.group.sequence] = whole.missing
        return whole.group.whole(), whole.release

    def _counted(self) -> int | None:
        """What the kernel has counted since the last delivery before this start."""
        now = self._kernel_kills()
        return None if now is None or self._kills_before is None else now - self._kills_before

    def _is_kill(self) -> bool:
        """Whether the kernel counts more kills than we have seen: then this mark was a kill."""
        counted = self._counted()
        return counted is None or counted > self._kills
