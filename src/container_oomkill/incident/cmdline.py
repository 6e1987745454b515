# SPDX-License-Identifier: Apache-2.0
"""Adds the command lines that /proc still has to an incident.

For victims whose command line the kernel side could not read, because the allocation that failed
was another task's. A process that was sent SIGKILL keeps its command line until it releases its
memory. So this runs first of all after decoding, and may still be too late: then it stays unknown.

Runs with ``--cmdline`` only: command lines may contain secrets.
"""

from __future__ import annotations

import os
from dataclasses import replace

from ..units import NS
from .model import Incident, Victim
from .wire import lib

MOST: int = lib.OOMKILL_CMDLINE_LEN  # bytes, as the kernel side keeps
# Behind the command in /proc/PID/stat, which may contain anything: the 22nd field is the 20th.
START_FIELD = 19
ROUNDING_NS = 1000  # the incident has its times as floating point numbers


class CommandLines:
    """Completes incidents. In a container it finds processes only with the host's PIDs."""

    def __init__(self, *, proc: str = "/proc") -> None:
        self._proc = proc
        self._tick_ns = NS // os.sysconf("SC_CLK_TCK")

    def __call__(self, incident: Incident) -> Incident:
        """Return ``incident``, with every command line that was unknown and could be read."""
        victims = tuple(self._completed(victim, incident.boot_ns) for victim in incident.victims)
        return incident if victims == incident.victims else incident.changed(victims=victims)

    def _completed(self, victim: Victim, boot_ns: int) -> Victim:
        if victim.cmdline is not None or victim.pid is None or victim.uptime_seconds is None:
            return victim
        started_ns = boot_ns - round(victim.uptime_seconds * NS)
        return replace(victim, cmdline=self._read(victim.pid, started_ns))

    def _read(self, pid: int, started_ns: int) -> str | None:
        """Of the process that started then; never of a later one, nor another namespace's.

        The open folder stands for one process: what is read in it is not of the next with its pid.
        """
        try:
            folder = os.open(f"{self._proc}/{pid}", os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return None
        try:
            stat = _contents("stat", folder, MOST)
            if not self._is_start(stat, started_ns):
                return None
            data = _contents("cmdline", folder, MOST + 1)
        except OSError:
            return None
        finally:
            os.close(folder)
        return cmdline_text(data[:MOST], cut=len(data) > MOST)

    def _is_start(self, stat: bytes, started_ns: int) -> bool:
        fields = stat.rpartition(b")")[2].split()
        if len(fields) <= START_FIELD:
            return False
        since_tick = started_ns - int(fields[START_FIELD]) * self._tick_ns
        return -ROUNDING_NS <= since_tick < self._tick_ns + ROUNDING_NS


def _contents(name: str, folder: int, most: int) -> bytes:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(file, most)
    finally:
        os.close(file)


def cmdline_text(data: bytes, *, cut: bool) -> str | None:
    """Return a command line as one would type it; ``data``: arguments, each ended by a NUL."""
    if not data.strip(b"\0"):
        return None
    from shlex import join as quoted  # few ask for command lines

    words = data.removesuffix(b"\0").decode("utf-8", "backslashreplace").split("\0")
    return quoted(words) + ("…" if cut else "")
