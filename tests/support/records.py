# SPDX-License-Identifier: Apache-2.0
"""Makes records as the kernel side writes them, for tests of what reads them."""

from __future__ import annotations

from typing import Any

from container_oomkill.incident.wire import VICTIM, ffi, lib

PATHS = ("domain", "trigger_memcg", "victim_memcg")


def header(**fields: Any) -> Any:
    """A header that says OOMKILL_END unless told otherwise."""
    made = ffi.new("struct oomkill_header *")
    values = {
        "sequence": 1,
        "incident": 1,
        "boot_ns": 90_000_000_000,
        "size": ffi.sizeof("struct oomkill_header"),
        "layout": lib.OOMKILL_LAYOUT,
        "kind": lib.OOMKILL_END,
        "hook": lib.OOMKILL_HOOK_FENTRY,
    }
    for name, value in (values | fields).items():
        setattr(made, name, value)
    return made


def end(**fields: Any) -> bytes:
    """The record that ends an incident."""
    return bytes(ffi.buffer(header(**fields)))


def victim(
    *, paths: dict[str, bytes] | None = None, head: dict[str, Any] | None = None, **fields: Any
) -> bytes:
    """A victim record; ``paths``: leaf first, NUL-ended; ``fields``: ``__`` for a dot.

    Every number not given is 0.
    """
    made = ffi.new("struct oomkill_victim *")
    strings = b""
    for name in PATHS:
        path = (paths or {}).get(name)
        memcg = getattr(made, name)
        if path is None:
            memcg.id = lib.OOMKILL_UNKNOWN
            continue
        memcg.id = 1 + len(strings)
        memcg.path_offset, memcg.path_size = len(strings), len(path)
        strings += path
    for name, value in fields.items():
        *parents, last = name.split("__")
        target = made
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, value)
    size = VICTIM.size + len(strings)
    made.header = header(**{"kind": lib.OOMKILL_VICTIM, "size": size} | (head or {}))[0]
    return bytes(ffi.buffer(made))[: VICTIM.size] + strings
