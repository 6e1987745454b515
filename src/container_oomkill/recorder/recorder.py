# SPDX-License-Identifier: Apache-2.0
"""Starts the flight recorder in the kernel, and reads what it counts of its own work.

Takes the BPF object and the maps that the hooks read at a kill. A program that is run once starts a
timer of the kernel's, which from then on writes every memory cgroup's usage into one of them
(bpf/recorder.bpf.h). It is loaded by itself, after the hooks: where a kernel refuses it, nothing
else is missing. Kernels before 5.15 and PREEMPT_RT kernels do, as they have no bpf_timer.
"""

from __future__ import annotations

from .. import libbpf
from ..errors import BpfError
from ..incident import wire
from ..system.closeable import Closeable
from .settings import RecorderSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Maps(Protocol):
        """An object that is loaded, or what is pinned of one."""

        def map_fd(self, name: str) -> int: ...


PROGRAM = "recorder_start"
RECORDINGS = "recordings"
STUCK_RING = "stuck_ring"
SHARED_MAPS = (RECORDINGS, "recorder")  # the hooks' as well
# While the first exists, so does the timer.
STUCK_MAPS = ("struggles", "stuck_scratch", STUCK_RING)
OWN_MAPS = ("walk", *STUCK_MAPS)
MAPS = (*SHARED_MAPS, *OWN_MAPS)


class FlightRecorder(Closeable):
    """A recorder that runs in the kernel. Closeable ends it, unless its maps are pinned."""

    def __init__(self, maps: libbpf.LoadedObject | Maps, settings: RecorderSettings) -> None:
        """``maps`` are closed with this if they are an object, else stay the caller's."""
        self.settings = settings
        self._loaded = maps if isinstance(maps, libbpf.LoadedObject) else None
        self._status = libbpf.Shared(maps.map_fd("recorder"), wire.RECORDER.size)
        self.stuck = libbpf.Ring(maps.map_fd(STUCK_RING))  # what is out of memory without a kill
        memory = [libbpf.map_memory(maps.map_fd(name)) for name in MAPS]
        self._memory = None if None in memory else sum(filter(None, memory))

    def status(self) -> dict[str, int]:
        """Return what it has counted since it started (struct oomkill_recorder).

        With ``memory_bytes``, the kernel memory of its maps, where the kernel tells.
        """
        status = wire.RECORDER.unpack(self._status.read())
        return status if self._memory is None else status | {"memory_bytes": self._memory}

    def close(self) -> None:
        self.stuck.close()
        self._status.close()
        if self._loaded is not None:
            self._loaded.close()


def start(
    data: bytes,
    types: libbpf.CoreTypes,
    constants: bytes,
    hooks: libbpf.LoadedObject | Maps,
    settings: RecorderSettings,
) -> tuple[FlightRecorder, libbpf.LoadedObject]:
    """Load it and start its timer; return it, and the object whose maps may be pinned.

    ``constants``: those of the ``hooks``, whose maps it fills. Raises `BpfError` where
    the kernel refuses it.
    """
    with libbpf.open_object(data, "oomkill", types) as opened:
        opened.choose((PROGRAM,))
        opened.keep_maps(MAPS)
        for name in SHARED_MAPS:
            opened.share_map(name, hooks.map_fd(name))
        opened.configure(constants)
        loaded = opened.load()
    try:
        if error := loaded.run(PROGRAM):
            raise BpfError(abs(error), "start the recorder's timer", f"error {error}", "")
        loaded.free_parsed()
        return FlightRecorder(loaded, settings), loaded
    except BaseException:
        loaded.close()
        raise
