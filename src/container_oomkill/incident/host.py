# SPDX-License-Identifier: Apache-2.0
"""Reads the `Host`: what decoding a record needs to know of this machine at this moment."""

from __future__ import annotations

import os
import time

from .model import Host


def read_host(node: str | None = None, *, proc: str = "/proc") -> Host:
    """Read what may change between two kills as well: the clock, the node's swappiness."""
    names = os.uname()
    boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return Host(
        node=node or names.nodename,
        kernel=names.release,
        page_size=os.sysconf("SC_PAGE_SIZE"),
        clock_offset_ns=time.clock_gettime_ns(time.CLOCK_REALTIME) - boot,
        swappiness=read_number(f"{proc}/sys/vm/swappiness"),
    )


def read_number(path: str) -> int | None:
    """Return the number a file of the kernel holds; None where it is not to be had."""
    try:
        with open(path, "rb", buffering=0) as file:  # a third of the time that text takes
            return int(file.read())
    except (OSError, ValueError):
        return None


def read_boot_id(path: str = "/proc/sys/kernel/random/boot_id") -> str:
    """Return what no other boot of any machine has."""
    with open(path, encoding="ascii") as file:
        return file.read().strip()
