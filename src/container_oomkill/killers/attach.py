# SPDX-License-Identifier: Apache-2.0
"""Attaches what records the kills that are not the OOM killer's (bpf/killers.bpf.h).

Takes the BPF object, gives a ring of its own. It is loaded by itself, after the hooks: where a
kernel refuses it, nothing else is missing. It ends with this process, pinned hooks or not.
"""

from __future__ import annotations

from .. import libbpf
from ..incident import wire
from ..system.closeable import Closeable

PROGRAM = "signal_generate"
MAPS = ("kill_scratch", "kill_ring", "killers", "stops", "ends", "allowances", "oom_victims")
COUNTERS = wire.Layout("oomkill_killers")


class Killers(Closeable):
    """The program on its tracepoint, and the ring it writes to."""

    def __init__(self, loaded: libbpf.LoadedObject) -> None:
        """``loaded`` is closed with this."""
        self._loaded = loaded
        self.ring = libbpf.Ring(loaded.map_fd("kill_ring"))
        self._counters = libbpf.Shared(loaded.map_fd("killers"), COUNTERS.size)
        self._link = loaded.attach(PROGRAM)
        loaded.free_parsed()

    def counters(self) -> dict[str, int]:
        """Return what it has counted since it was attached (struct oomkill_killers)."""
        return COUNTERS.unpack(self._counters.read())

    def close(self) -> None:
        for each in (self._link, self.ring, self._counters, self._loaded):
            each.close()


def attach(data: bytes, types: libbpf.CoreTypes, constants: bytes) -> Killers:
    """``constants``: struct oomkill_config. Raises `BpfError` where the kernel refuses it."""
    with libbpf.open_object(data, "oomkill", types) as opened:
        opened.choose((PROGRAM,))
        opened.keep_maps(MAPS)
        opened.configure(constants)
        loaded = opened.load()
    try:
        return Killers(loaded)
    except BaseException:
        loaded.close()
        raise
