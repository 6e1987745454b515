# SPDX-License-Identifier: Apache-2.0
"""Takes /proc and the mounted memory cgroups, gives the kernel's own counts of OOM kills."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..incident.model import Incident

# (file of the memory controller, line of it): cgroup v2, then v1
SOURCES = (("memory.events.local", b"oom_kill "), ("memory.oom_control", b"oom_kill "))


def read_kernel_kills(proc: str = "/proc") -> int | None:
    """Return ``oom_kill`` of /proc/vmstat: __oom_kill_process() calls since boot."""
    try:
        with open(f"{proc}/vmstat", encoding="ascii") as file:
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    except (OSError, ValueError):
        return None
    return None


def memory_controller_disabled(proc: str = "/proc") -> bool:
    """Whether the kernel was told cgroup_disable=memory: its table of controllers says so."""
    try:
        with open(f"{proc}/cgroups", encoding="ascii") as file:
            return any(line.split()[::3] == ["memory", "0"] for line in file)
    except OSError:
        return False


def kernel_count(incident: Incident) -> int:
    """Return what an incident adds to that count.

    With memory.oom.group the kernel comes to the chosen process a second time, together with the
    others of the group, and counts it again.
    """
    return len(incident.victims) + bool(incident.oom.group)


def kills_by_cgroup(root: str = "/sys/fs/cgroup") -> Iterator[tuple[str, int, int]]:
    """Yield (path, cgroup id, kills) of every cgroup with any; the id is the folder's inode."""
    for folder, _, files in os.walk(root):
        for name, word in SOURCES:
            if name in files and (kills := _count(os.path.join(folder, name), word)):
                path = folder.removeprefix(root).removeprefix("/memory" * name.endswith("control"))
                try:
                    number = os.stat(folder).st_ino
                except FileNotFoundError:
                    continue  # gone meanwhile
                yield path or "/", number, kills


def _count(path: str, word: bytes) -> int:
    try:
        with open(path, "rb") as file:
            for line in file:
                if line.startswith(word):
                    return int(line[len(word) :])
    except (OSError, ValueError):
        return 0  # gone meanwhile
    return 0
