# SPDX-License-Identifier: Apache-2.0
"""Reads the `Host`: what decoding a record needs to know of this machine at this moment."""

from __future__ import annotations

import os
import time

from ..system.closeable import Closeable
from .model import Host

NUMBER_BYTES = 24  # more than any has


class HostReader(Closeable):
    """Reads it at every kill, whose way opening the kernel's file would make longer by a tenth."""

    def __init__(self, node: str | None = None, *, proc: str = "/proc") -> None:
        """``node``: default: this machine's name."""
        self._node = node
        try:
            self._swappiness = os.open(f"{proc}/sys/vm/swappiness", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._swappiness = -1

    def read(self) -> Host:
        """Read what may change between two kills as well: the clock, the node's swappiness."""
        names = os.uname()
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return Host(
            node=self._node or names.nodename,
            kernel=names.release,
            page_size=os.sysconf("SC_PAGE_SIZE"),
            clock_offset_ns=time.clock_gettime_ns(time.CLOCK_REALTIME) - boot,
            swappiness=self._read_swappiness(),
        )

    def _read_swappiness(self) -> int | None:
        try:
            return int(os.pread(self._swappiness, NUMBER_BYTES, 0))
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        if self._swappiness >= 0:
            os.close(self._swappiness)
            self._swappiness = -1


def read_host(node: str | None = None, *, proc: str = "/proc") -> Host:
    """Read it once."""
    with HostReader(node, proc=proc) as reader:
        return reader.read()


def read_boot_id(path: str = "/proc/sys/kernel/random/boot_id") -> str:
    """Return what no other boot of any machine has."""
    with open(path, encoding="ascii") as file:
        return file.read().strip()
