# SPDX-License-Identifier: Apache-2.0
"""Reads the kernel's own counts of OOM kills, from /proc and from the memory cgroups."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..incident.model import Incident

# Files of the memory controller: cgroup v2, then v1.
SOURCES = ("memory.events.local", "memory.oom_control")
# From here down, a cgroup without the memory controller has none below it with it. Above are, of
# cgroup v1, the folder of all controllers and the root of each; of v2, the root, without counts.
ALL_HAVE_IT = 2
NO_FOLDERS = 2  # links of a folder without any in it


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
    """Whether the kernel was booted with cgroup_disable=memory, by its table of controllers."""
    try:
        with open(f"{proc}/cgroups", encoding="ascii") as file:
            return any(line.split()[::3] == ["memory", "0"] for line in file)
    except OSError:
        return False


def kernel_count(incident: Incident) -> int:
    """Return what an incident adds to that count, at most.

    With memory.oom.group the kernel comes to the chosen process a second time, together with the
    others of the group, and counts it again if it still has memory of its own. Whether it did, no
    hook is told: `seen_so_far` takes back what was one too many.
    """
    return incident.kills + bool(incident.oom.group)


def seen_so_far(seen: int, counted: int | None) -> int:
    """Return how many kills we have seen, of those the kernel ``counted`` since the same moment.

    The kernel counts a kill before we can see it. So more seen than counted are second visits
    to a process that was gone: they must not make up for kills that are really missing later.
    """
    return seen if counted is None else min(seen, max(0, counted))


def counts_by_cgroup(root: str = "/sys/fs/cgroup") -> Iterator[tuple[str, int, int, int]]:
    """Yield (path, cgroup id, kills, ooms) of every cgroup with any; the id is its inode.

    ``ooms``: how often it ran out of memory itself, which cgroup v2 alone says.
    """
    for folder, name, text in _memory_cgroups(root):
        counts = _counts(text)
        kills, ooms = counts.get("oom_kill", 0), counts.get("oom", 0)
        if kills or ooms:
            path = folder.removeprefix(root).removeprefix("/memory" * (name == SOURCES[1]))
            try:
                number = os.stat(folder).st_ino
            except FileNotFoundError:
                continue  # gone meanwhile
            # As the record has a name that is not UTF-8 (incident/decoder.py).
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            yield shown or "/", number, kills, ooms


def _memory_cgroups(root: str) -> Iterator[tuple[str, str, str]]:
    """Yield every cgroup that has one of `SOURCES`, with that file's name and text.

    There may be thousands, each with some eighty files, so a folder is listed only where there are
    others in it, by its number of links (1: this file system does not count them).
    """
    left = [(root, 0)]
    while left:
        folder, depth = left.pop()
        found = next(((n, t) for n in SOURCES if (t := _text(f"{folder}/{n}")) is not None), None)
        if found is not None:
            yield folder, *found
        elif depth >= ALL_HAVE_IT:
            continue
        try:
            if os.stat(folder).st_nlink == NO_FOLDERS:
                continue
            with os.scandir(folder) as entries:
                left += [
                    (each.path, depth + 1) for each in entries if each.is_dir(follow_symlinks=False)
                ]
        except OSError:
            continue  # gone meanwhile


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError):
        return None


def _counts(text: str) -> dict[str, int]:
    """Return a file's lines of a word and a number."""
    pairs = [line.split() for line in text.splitlines()]
    try:
        return {word: int(number) for word, number in pairs}
    except ValueError:
        return {}
