# SPDX-License-Identifier: Apache-2.0
"""Bytes of struct oomkill_stuck to a `Stuck`: units fixed, unknown is None."""

from __future__ import annotations

from typing import Any

from ..errors import RecordError
from ..incident import wire
from ..incident.decoder import cgroup_path
from ..incident.model import Container, Host
from ..incident.wire import lib
from ..units import NS
from .model import HUGE_PAGE_REFUSED, OOM_DISABLED, THROTTLED, Episode, Stuck

STUCK = wire.Layout("oomkill_stuck")
# Of a cgroup that ran out and had nothing killed, `killable` says which of the others it is.
CAUSES = {
    lib.OOMKILL_STUCK_DISABLED: OOM_DISABLED,
    lib.OOMKILL_STUCK_THROTTLED: THROTTLED,
    lib.OOMKILL_STUCK_HUGE_PAGE: HUGE_PAGE_REFUSED,
}
STATES = (lib.OOMKILL_STUCK_BEGAN, lib.OOMKILL_STUCK_ENDED)


def decode_stuck(data: bytes, host: Host) -> Stuck:
    """Raises `RecordError` for what the kernel side does not write."""
    raw = _fields(data)
    unlimited = ((1 << 63) - 1) // host.page_size  # PAGE_COUNTER_MAX

    def in_bytes(field: str) -> int | None:
        pages: int | None = raw[field]
        return None if pages is None or pages >= unlimited else pages * host.page_size

    return Stuck(
        time=(raw["began_ns"] + host.clock_offset_ns) / NS,
        boot_ns=raw["began_ns"],
        node=host.node,
        kernel=host.kernel,
        verdict=None,
        container=Container(),
        cgroup=_path(raw),
        cgroup_id=raw["id"],
        usage_bytes=in_bytes("usage_pages"),
        limit_bytes=in_bytes("limit_pages"),
        high_bytes=in_bytes("high_pages"),
        stuck=Episode(
            cause=CAUSES.get(raw["cause"]),
            events=raw["events"],
            seconds=(raw["last_ns"] - raw["began_ns"]) / NS,
            ended=raw["state"] == lib.OOMKILL_STUCK_ENDED,
        ),
    )


def _fields(data: bytes) -> dict[str, Any]:
    if len(data) != STUCK.size:
        raise RecordError(f"record of {len(data)} bytes of what is stuck: expected {STUCK.size}")
    raw = STUCK.unpack(data)
    found = (raw["layout"], raw["kind"], raw["size"])
    if found != (lib.OOMKILL_LAYOUT, lib.OOMKILL_STUCK, len(data)) or raw["state"] not in STATES:
        raise RecordError(f"record of what is stuck: layout, kind, size are {found}")
    if not 0 < (raw["began_ns"] or 0) <= (raw["last_ns"] or 0):
        raise RecordError("record of what is stuck: it ended before it began")
    raw["strings"] = raw["path"]
    raw["path_offset"] = 0
    return raw


def _path(raw: dict[str, Any]) -> str | None:
    """None: the cgroup is gone."""
    if not raw["path_size"]:
        return None
    cut = bool(raw["flags"] & lib.OOMKILL_MEMCG_PATH_CUT)
    return cgroup_path(raw, raw["id"], "path_offset", "path_size", cut=cut)
