# SPDX-License-Identifier: Apache-2.0
"""Drops capabilities and installs the seccomp filter once the hooks are attached.

Capabilities belong to threads, and a thread starts with those of the thread that created it. So
`drop_process` is called before there is a second thread, and `drop_thread` at the start of a thread
that needs even less. The seccomp filter applies to all threads. Open files and mapped memory (the
ring, the counters) stay usable.
"""

from __future__ import annotations

import errno
import os

from . import log
from ._privileges import lib

# Reads the state of containers where it belongs to another user: rootless Podman's in the users'
# homes; root's, for a process that is not root. include/uapi/linux/capability.h
CAP_DAC_READ_SEARCH = 1 << 2
CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_PERFMON": 38, "CAP_BPF": 39}
FOR_BPF = ("CAP_BPF", "CAP_PERFMON")


def held_capabilities(proc: str = "/proc") -> dict[str, bool]:
    """Return which of `CAPABILITIES` this process has; where that is unknown, none."""
    bits = 0
    try:
        with open(f"{proc}/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("CapEff:"):
                    bits = int(line.split()[1], 16)
    except OSError:
        pass
    return {name: bool(bits >> bit & 1) for name, bit in CAPABILITIES.items()}


def missing_capabilities(proc: str = "/proc") -> list[str]:
    """Return those that attaching needs and this process lacks; CAP_SYS_ADMIN contains them."""
    held = held_capabilities(proc)
    return [] if held["CAP_SYS_ADMIN"] else [name for name in FOR_BPF if not held[name]]


def drop_process(*, clients: bool = False) -> None:
    """Keep CAP_DAC_READ_SEARCH alone, if it is held, and deny system calls never needed again.

    ``clients``: among those needed is connect(), to a cluster's API or an engine's socket.
    privileges.c has the list. Raises `OSError` if the kernel refuses, which it has no reason to.
    """
    _check(lib.privileges_keep(CAP_DAC_READ_SEARCH), "drop the capabilities")
    _check(lib.privileges_no_new(), "set no_new_privs")
    refused = lib.privileges_deny_system_calls(clients)
    if refused == -errno.ENOSYS:
        log.warn("this kernel has no seccomp: system calls are not filtered")
    else:
        _check(refused, "filter the system calls")


def drop_thread() -> None:
    """Keep no capability: for a thread that talks to the network."""
    _check(lib.privileges_keep(0), "drop the capabilities")


def spare_from_oom(score: int, *, proc: str = "/proc") -> None:
    """Have the OOM killer choose others first; lowers oom_score_adj where it may, never raises it.

    ``score``: -1000 (never) to 1000. Needs CAP_SYS_RESOURCE.
    """
    path = f"{proc}/self/oom_score_adj"
    try:
        with open(path, "r+", encoding="ascii") as file:
            if int(file.read()) > score:
                file.seek(0)
                file.write(str(score))
    except (OSError, ValueError):
        return  # in a container: its runtime can set it


def _check(result: int, action: str) -> None:
    if result < 0:
        raise OSError(-result, f"{action}: {os.strerror(-result).lower()}")
