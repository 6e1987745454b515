# SPDX-License-Identifier: Apache-2.0
"""Notifies the service manager of our state (sd_notify(3)); does nothing without one."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Speaks to $NOTIFY_SOCKET. The watchdog wants a sign of life twice per $WATCHDOG_USEC."""

    def __init__(self, environ: Mapping[str, str] = os.environ, *, pid: int | None = None) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]  # an abstract socket
        elif not self._address.startswith("/"):
            self._address = ""
        for_us = environ.get("WATCHDOG_PID") in (None, "", str(os.getpid() if pid is None else pid))
        microseconds = environ.get("WATCHDOG_USEC", "")
        self.watchdog_seconds: float | None = None
        if self._address and for_us and microseconds.isdigit() and int(microseconds):
            self.watchdog_seconds = int(microseconds) / 2e6

    def ready(self, status: str = "") -> None:
        self._send("READY=1\n" + (f"STATUS={status}\n" if status else ""))

    def stopping(self) -> None:
        self._send("STOPPING=1\n")

    def alive(self) -> None:
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1\n")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)  # a manager that does not listen must not hold us up
                to.sendto(state.encode(), self._address)
        except OSError:
            pass  # it will notice, and say so better than we could
