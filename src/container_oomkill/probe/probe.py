# SPDX-License-Identifier: Apache-2.0
"""The attached programs and the ring buffer they write to."""

from __future__ import annotations

import os
import time

from .. import libbpf
from ..errors import BpfError
from ..incident import wire
from ..system.closeable import Closeable
from .checkpoint import Checkpoint
from .kernel_functions import KernelFunctions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..killers.attach import Killers
    from ..recorder.recorder import FlightRecorder
    from ..recorder.sampler import Sampler
    from .pins import Generation, Pins


class Probe(Closeable):
    """Programs attached, and the ring they write to. Closeable detaches what is not pinned."""

    def __init__(
        self,
        hook: str,
        maps: libbpf.LoadedObject | Generation,
        *,
        links: Sequence[libbpf.Link] = (),
        scans: bool,
        marks_have_tasks: bool,
        signals: bool = False,
    ) -> None:
        """``maps`` and ``links`` are closed with this; ``scans``: `CANDIDATE_SCAN` is among them,
        ``signals``: `VICTIM_SIGNAL` is.

        ``marks_have_tasks``: the tracepoint gives the victim itself, not its pid alone.
        """
        self.hook = hook
        self._scans = scans
        self._signals = signals
        self.kernel = os.uname().release
        self.checkpoint = Checkpoint()
        self.number = 0  # among the pinned generations; 0: not pinned
        self._attached_at = time.time()
        self.older: Sequence[Generation] = ()  # of other versions, to be read before this one
        self.resumed = False  # hooks of an earlier process went on recording while none ran
        self.discarded = 0  # records of another layout, left there by another version
        self._pins: Pins | None = None
        self.kills_before: int | None = (
            None  # the kernel's count as of the last delivery before this start
        )
        self.refused: dict[str, BpfError] = {}
        self.recorder: FlightRecorder | None = None
        self.recorder_refused: str | None = None  # why it was asked for and is not there
        self.reclaim_refused: str | None = None  # the same of the passes of reclaim
        self.watches_huge_pages: bool | None = None  # None: no cgroup is charged for them
        self._sampler: Sampler | None = None
        self._sampled: bool | None = None  # None: nobody has asked for one
        self._marks_have_tasks = marks_have_tasks
        self.killers: Killers | None = None
        self.killers_refused: str | None = None  # likewise
        self._maps = maps
        self._links = list(links)
        self._attached = True
        self._ring = libbpf.Ring(maps.map_fd("ring"))
        self._counters = libbpf.Shared(maps.map_fd("counters"), wire.COUNTERS.size)

    def attached_at(self) -> float:
        """When it was attached: seconds since the epoch, by the clock of then."""
        return self._attached_at

    @property
    def ring(self) -> libbpf.Ring:
        return self._ring

    @property
    def maps(self) -> libbpf.LoadedObject | Generation:
        """The hooks' maps."""
        return self._maps

    @property
    def attached(self) -> bool:
        """Whether the programs are in the kernel and on their hooks."""
        return self._attached

    def features(self) -> dict[str, bool]:
        """What this hook provides on this kernel, by name; the rest is unknown in a record."""
        exact = self.hook != "raw_tracepoint"
        found = {
            "oom_control": exact,
            "domain_exact": exact,
            "threads": exact,
            "candidates": self._scans,
            "every_victim": exact or self._signals or self._marks_have_tasks,
        }
        if self.recorder is not None or self.recorder_refused is not None:
            found["flight_recorder"] = self.recorder is not None
            found["reclaim"] = self.reclaim_refused is None
        if self.watches_huge_pages is not None:
            found["huge_pages"] = self.watches_huge_pages
        if self.killers is not None or self.killers_refused is not None:
            found["killers"] = self.killers is not None
        if self._sampled is not None:
            found["sampler"] = self._sampled
        return found

    def enter_earlier_counts(self, counted: Iterable[tuple[str, int, int, int]]) -> None:
        """Tell the raw tracepoint what cgroups had counted before it came, by `counts_by_cgroup`.

        It knows a kill from a mere mark by the cgroup's own count of kills having grown. One may
        have been counted and not yet marked when the count was read, so these say where they are
        from: a first mark that finds the very same number is sent as one that may be a kill.
        """
        if self.hook == "raw_tracepoint" and isinstance(self._maps, libbpf.LoadedObject):
            for _, cgroup_id, kills, ooms in counted:
                key = wire.u64(cgroup_id)
                if kills:
                    entered = wire.u64(kills | wire.lib.OOMKILL_ENTERED)
                    self._maps.write_new("kills_seen", key, entered)
                if ooms:
                    self._maps.write_new("ooms_seen", key, wire.u64(ooms))

    def kernel_functions(self) -> KernelFunctions:
        """Return what names the functions of a stack; to be read by a thread.

        To be asked while privileges last: see `KernelFunctions`. The raw tracepoint's program gets
        from it where sysrq-f is served; the others are told of that.
        """
        if self.hook != "raw_tracepoint":
            return KernelFunctions()
        shared = libbpf.Shared(self._maps.map_fd("functions"), wire.FUNCTIONS.size)

        def tell(functions: KernelFunctions) -> None:
            with shared:
                if (found := functions.find("moom_callback")) is not None:
                    shared.memory[: wire.FUNCTIONS.size] = wire.functions(*found)

        return KernelFunctions(on_read=tell)

    def counters(self) -> dict[str, int]:
        """Return what the kernel side counted since it was loaded (struct oomkill_counters)."""
        return wire.COUNTERS.unpack(self._counters.read())

    def recorder_status(self) -> dict[str, int] | None:
        """Return what the flight recorder, or the sampler, counted; None: there is neither."""
        recorder = self.recorder or self._sampler
        return None if recorder is None else recorder.status()

    def sampled_by(self, sampler: Sampler) -> None:
        """Let a sampler stand in for the recorder that the kernel refused."""
        self._sampler, self._sampled = sampler, True

    def no_sampler(self) -> None:
        """Say that one was asked for and has nothing to read."""
        self._sampled = False

    def killers_status(self) -> dict[str, int] | None:
        """Return what was counted of SIGKILL by others; None: it is not recorded."""
        return None if self.killers is None else self.killers.counters()

    def ring_use(self) -> tuple[int, int]:
        """Return the bytes that wait in the ring, and its size."""
        return self._ring.unread(), self._ring.size

    def keep(self, links: Iterable[libbpf.Link]) -> None:
        """Close these too, with the others."""
        self._links.extend(links)

    def resume_from(self, pins: Pins, kills: int | None) -> None:
        """Go on from what is pinned beside this; ``pins`` are closed with it."""
        self._pins = pins
        if any(each.number < self.number for each in pins.generations()):
            self.resumed = True
        self.older, self.discarded = pins.older(self.number, self._ring, kills)
        self.checkpoint = pins.checkpoint

    def close(self) -> None:
        """Detach every program that is not pinned, then free the maps."""
        self._attached = False
        while self._links:
            self._links.pop().close()
        for beside in (self.killers, self.recorder):
            if beside is not None:
                beside.close()
        for each in (self._ring, self._counters, *self.older, self._maps):
            each.close()
        if self._pins is not None:
            self._pins.close()
