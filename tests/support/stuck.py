# SPDX-License-Identifier: Apache-2.0
"""What is out of memory without a kill: as the kernel side writes it, and as a `Stuck`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from container_oomkill.incident.wire import ffi, lib
from container_oomkill.stuck.decoder import STUCK
from container_oomkill.stuck.model import NOTHING_KILLABLE, Episode, Stuck

from .incidents import BOOT_NS, MIB, TIME, container

PATH = b"app\0pod1\0kubepods\0"


def stuck_bytes(
    *, began_ns: int = BOOT_NS, seconds: float = 3.0, path: bytes = PATH, **fields: Any
) -> bytes:
    """A record of the ring: it began, and has gone on for so long."""
    made = ffi.new("struct oomkill_stuck *")
    last_ns = began_ns + round(seconds * 1e9)
    values = {
        "boot_ns": last_ns,
        "began_ns": began_ns,
        "last_ns": last_ns,
        "events": 471,
        "id": 7,
        "usage_pages": 6144,
        "limit_pages": 6144,
        "high_pages": lib.OOMKILL_UNKNOWN,
        "size": STUCK.size,
        "layout": lib.OOMKILL_LAYOUT,
        "kind": lib.OOMKILL_STUCK,
        "state": lib.OOMKILL_STUCK_BEGAN,
        "cause": lib.OOMKILL_STUCK_NO_KILL,
        "path_size": len(path),
    }
    for name, value in (values | fields).items():
        setattr(made, name, value)
    ffi.memmove(made.path, path, len(path))
    return bytes(ffi.buffer(made))


def stuck(cgroup_id: int = 7, cause: str | None = NOTHING_KILLABLE, **changes: Any) -> Stuck:
    """One that goes on; ``changes``: fields of `Stuck`."""
    values: dict[str, Any] = {
        "time": TIME,
        "boot_ns": BOOT_NS,
        "node": "node-1",
        "kernel": "6.12.117",
        "verdict": None,
        "container": container("app"),
        "cgroup": "/kubepods/pod1/app",
        "cgroup_id": cgroup_id,
        "usage_bytes": 24 * MIB,
        "limit_bytes": 24 * MIB,
        "stuck": Episode(cause, 471, 3.0, ended=False),
    }
    return Stuck(**(values | changes))


class Records:
    """Stands for the ring, and for the recorder that has it."""

    def __init__(self, *records: bytes) -> None:
        self.stuck = self
        self.records = list(records)
        self.released = 0

    def fileno(self) -> int:
        return -1

    def wait(self, seconds: float | None) -> None:
        assert seconds == 0

    def read(self) -> Iterator[tuple[bytes, int]]:
        while self.records:
            yield self.records.pop(0), self.released + 1

    def release(self, position: int) -> None:
        self.released = position
