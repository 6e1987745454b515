# SPDX-License-Identifier: Apache-2.0
"""Kills by others: as the kernel side writes them, and as a `Kill`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from container_oomkill.incident.model import Container
from container_oomkill.incident.wire import ffi, lib
from container_oomkill.killers.decoder import KILL
from container_oomkill.killers.model import Kill, Killer, Stop, Target

BOOT_NS = 90_000_000_000
C = "ab" * 32
RUNC = "/system.slice/containerd.service"


def kill_bytes(*, target: str = "", sender: str = "", **fields: Any) -> bytes:
    """A record of the ring; ``target``, ``sender``: paths; ``fields``: ``__`` for a dot.

    Nobody was asked to stop, and nobody ended, unless told otherwise.
    """
    made = ffi.new("struct oomkill_kill *")
    strings = b""
    for party, path in ((made.target, target), (made.sender, sender)):
        names = [name.encode() for name in reversed(path.strip("/").split("/")) if name]
        leaf_first = b"".join(name + b"\0" for name in names)
        party.cgroup_id = 1 + len(strings)
        party.path_offset, party.path_size = len(strings), len(leaf_first)
        strings += leaf_first
    made.boot_ns = BOOT_NS
    made.layout, made.kind = lib.OOMKILL_LAYOUT, lib.OOMKILL_KILL
    made.size = KILL.size + len(strings)
    made.stop_ns = lib.OOMKILL_UNKNOWN
    made.exit_code = lib.OOMKILL_UNKNOWN_U32
    for name, value in fields.items():
        *parents, last = name.split("__")
        at = made
        for parent in parents:
            at = getattr(at, parent)
        setattr(at, last, value)
    return bytes(ffi.buffer(made))[: KILL.size] + strings


def kill(
    *,
    killer: Killer | None = None,
    stop: Stop | None = None,
    container: Container | None = None,
    **target: Any,
) -> Kill:
    """PID 1 of a Docker container, killed by whom one likes; without cause and verdict."""
    what = Target(
        pid=4711, tid=4711, pid_in_container=1, is_init=True, ppid=4700, command="nginx",
        parent_command="containerd-shim", uid=0, cgroup=f"/docker/{C}", cgroup_id=77,
        oom_score_adj=0, uptime_seconds=3600.0,
    )  # fmt: skip
    return Kill(
        time=1_790_000_000.5,
        boot_ns=BOOT_NS,
        node="node-1",
        kernel="6.12.117",
        verdict=None,
        container=container or Container(C, "shop-cart-1", "docker"),
        target=replace(what, **target),
        killer=killer or by(),
        stop=stop,
    )


def by(command: str | None = "runc", **fields: Any) -> Killer:
    """Whoever sent it: a runtime on the host unless told otherwise."""
    known = Killer(
        how="signal", pid=4720, tid=4720, pid_in_container=4720, ppid=4700, command=command,
        parent_command="containerd-shim", uid=0, cgroup=RUNC, cgroup_id=5,
        unit="containerd.service", is_inside=False, is_above=True, from_outside=False,
    )  # fmt: skip
    return replace(known, **fields)


class Signals:
    """Stands for `Killers` and its ring: the records it will deliver are given as bytes."""

    def __init__(self, *recorded: bytes) -> None:
        self.ring = self
        self.released: list[int] = []
        self._recorded = list(enumerate(recorded, start=1))

    def counters(self) -> dict[str, int]:
        return {"kills": 9, "records": len(self._recorded), "lost_rate_limit": 2}

    def fileno(self) -> int:
        return -1

    def wait(self, seconds: float | None) -> None:
        assert seconds == 0  # it never keeps incidents waiting

    def read(self) -> Iterator[tuple[bytes, int]]:
        while self._recorded:
            position, data = self._recorded.pop(0)
            yield data, position

    def release(self, position: int) -> None:
        self.released.append(position)
