# SPDX-License-Identifier: Apache-2.0
"""Bytes of struct oomkill_kill to a `Kill`: units fixed, unknown is None."""

from __future__ import annotations

import signal
from typing import Any

from ..errors import RecordError
from ..incident import wire
from ..incident.decoder import cgroup_path, text
from ..incident.model import Container, Host
from ..incident.wire import lib
from ..units import NS
from .model import (
    CGROUP_KILL,
    NAMESPACE_END,
    PARENT_END,
    SHARED_MEMORY,
    SIGNAL,
    Kill,
    Killer,
    Stop,
    Target,
)

KILL = wire.Layout("oomkill_kill", before="strings")
HOW = (
    (lib.OOMKILL_KILL_NAMESPACE_END, NAMESPACE_END),
    (lib.OOMKILL_KILL_SHARED_MEMORY, SHARED_MEMORY),
    (lib.OOMKILL_KILL_BY_CGROUP, CGROUP_KILL),
    (lib.OOMKILL_KILL_SENDER_EXITING, PARENT_END),
)
RTMIN = 34  # of the C library; Python's own number is the same, but not its name


def decode_kill(data: bytes, host: Host) -> Kill:
    """Raises `RecordError` for what the kernel side does not write."""
    raw = _fields(data)
    boot_ns, flags = raw["boot_ns"], raw["flags"] or 0
    return Kill(
        time=(boot_ns + host.clock_offset_ns) / NS,
        boot_ns=boot_ns,
        node=host.node,
        kernel=host.kernel,
        verdict=None,
        container=Container(),
        target=Target(
            **_party(raw, "target"),
            is_init=bool(flags & lib.OOMKILL_KILL_INIT),
            oom_score_adj=raw["target.oom_score_adj"],
            uptime_seconds=_since(boot_ns, raw["target.start_boottime_ns"]),
        ),
        killer=Killer(
            **_party(raw, "sender"),
            how=next((how for flag, how in HOW if flags & flag), SIGNAL),
            is_inside=bool(flags & lib.OOMKILL_KILL_INSIDE),
            is_above=bool(flags & lib.OOMKILL_KILL_ABOVE),
            from_outside=bool(flags & lib.OOMKILL_KILL_CAME_IN),
            **_exit(raw["exit_code"]),
        ),
        stop=_stop(raw),
    )


def _fields(data: bytes) -> dict[str, Any]:
    if len(data) < KILL.size:
        raise RecordError(f"kill record of {len(data)} bytes: expected at least {KILL.size}")
    raw = KILL.unpack(data)
    found = (raw["layout"], raw["kind"], raw["size"])
    if found != (lib.OOMKILL_LAYOUT, lib.OOMKILL_KILL, len(data)) or not raw["boot_ns"]:
        raise RecordError(f"kill record of {len(data)} bytes: layout, kind, size are {found}")
    raw["strings"] = data[KILL.size :]
    return raw


def _party(raw: dict[str, Any], which: str) -> dict[str, Any]:
    return {
        "pid": raw[f"{which}.pid"],
        "tid": raw[f"{which}.tid"],
        "pid_in_container": raw[f"{which}.pid_in_ns"],
        "ppid": raw[f"{which}.ppid"],
        "command": text(raw[f"{which}.comm"]) or None,
        "parent_command": text(raw[f"{which}.parent_comm"]) or None,
        "uid": raw[f"{which}.uid"],
        "cgroup": cgroup_path(
            raw,
            raw[f"{which}.cgroup_id"],
            f"{which}.path_offset",
            f"{which}.path_size",
            cut=bool((raw[f"{which}.cgroup_flags"] or 0) & lib.OOMKILL_MEMCG_PATH_CUT),
        ),
        "cgroup_id": raw[f"{which}.cgroup_id"],
    }


def _since(boot_ns: int, started_ns: int | None) -> float | None:
    return None if started_ns is None else max(0, boot_ns - started_ns) / NS


def _exit(status: int | None) -> dict[str, Any]:
    """As wait(2) has it: a signal in the lower seven bits, else a code above the lower eight."""
    if status is None:
        return {}
    if number := status & 0x7F:
        return {"exit_signal": signal_name(number)}
    return {"exit_code": status >> 8 & 0xFF}


def _stop(raw: dict[str, Any]) -> Stop | None:
    if raw["stop_ns"] is None:
        return None
    return Stop(
        signal=None if raw["stop_signal"] is None else signal_name(raw["stop_signal"]),
        seconds_before=_since(raw["boot_ns"], raw["stop_ns"]),
        pid=raw["stop_pid"],
        command=text(raw["stop_comm"]) or None,
    )


def signal_name(number: int) -> str:
    """Return a signal's name as signal(7) has it; real-time ones count from SIGRTMIN."""
    if number >= RTMIN:
        return "SIGRTMIN" + (f"+{number - RTMIN}" if number > RTMIN else "")
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
