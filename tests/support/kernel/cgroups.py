# SPDX-License-Identifier: Apache-2.0
"""Memory cgroups of the test's own with a limit, cgroup v1 or v2."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

V2_ROOT = Path("/sys/fs/cgroup")
V1_ROOT = Path("/sys/fs/cgroup/memory")
UNIFIED = V2_ROOT / "unified"  # cgroup v2 beside v1, where a system has both
MIB = 1 << 20
# Every cgroup that this process has made, gone or not: who is killed in another is not of ours.
_made: dict[int, str] = {}


def ids_of_ours() -> set[int]:
    """The ids of the cgroups that these tests made."""
    return set(_made)


def paths_of_ours() -> set[str]:
    """Their paths."""
    return set(_made.values())


def is_v1() -> bool:
    """Whether the memory controller is on cgroup v1."""
    return (V1_ROOT / "memory.limit_in_bytes").exists()


def is_hybrid() -> bool:
    """Whether cgroup v2 is mounted too, without the memory controller."""
    return is_v1() and (UNIFIED / "cgroup.procs").exists()


class Cgroup:
    """A memory cgroup; its limits are read back before anything may run in it."""

    def __init__(self, path: str, *, may_exist: bool = False) -> None:
        self.path = path
        self.folder = (V1_ROOT if is_v1() else V2_ROOT) / path.lstrip("/")
        self._ours = not (may_exist and self.folder.exists())
        if self._ours:
            self.folder.mkdir()
            _made[self.id()] = path

    def limit(self, mib: int) -> None:
        """Set memory.max, and swap off where there is a switch; refuse to go on without."""
        name = "memory.limit_in_bytes" if is_v1() else "memory.max"
        self.write(name, str(mib * MIB))
        if self.read(name) != str(mib * MIB):
            raise RuntimeError(f"{self.path}: the limit was not taken")
        with contextlib.suppress(OSError):  # no swap accounting in this kernel
            self.write("memory.swap.max", "0")

    def unlimit(self) -> None:
        if is_v1():
            self.write("memory.limit_in_bytes", "-1")
        else:
            self.write("memory.max", "max")

    def limit_bytes(self) -> int:
        return int(self.read("memory.limit_in_bytes" if is_v1() else "memory.max"))

    def peak_bytes(self) -> int:
        """The most it has ever held; the kernel's own words, or by its limit where it has none.

        memory.peak came with v5.19; before, what reached the limit had the limit as its peak.
        """
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (self.folder / name).exists():
                return int(self.read(name))
        return self.limit_bytes()

    def share_memory_controller(self) -> None:
        """Let children have limits of their own; cgroup v1 always does."""
        if not is_v1():
            self.write("cgroup.subtree_control", "+memory")

    def oom_kills(self) -> int:
        """Kills in this very cgroup, by the kernel's count."""
        name = "memory.oom_control" if is_v1() else "memory.events.local"
        fields = dict(line.split() for line in self.read(name).splitlines())
        return int(fields["oom_kill"])

    def id(self) -> int:
        return self.folder.stat().st_ino

    def enter(self) -> None:
        """Move the calling process in; for a child before it execs."""
        (self.folder / "cgroup.procs").write_text("0")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def remove(self, *, shared: bool = False) -> None:
        """Kill what is left in it and remove it; the kernel may need a moment.

        ``shared``: leave it where somebody else has a cgroup in it.
        """
        if not self._ours or not self.folder.exists():
            return
        for _ in range(500):
            for pid in self.read("cgroup.procs").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            if shared and any(each.is_dir() for each in self.folder.iterdir()):
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.path}: could not be removed")


@contextlib.contextmanager
def cgroups(*paths: str) -> Iterator[list[Cgroup]]:
    """Make cgroups, parents before children; a parent shares the memory controller.

    A parent that was there before, such as Docker's, is used and left; so is one that somebody else
    uses by now.
    """
    made: list[Cgroup] = []
    try:
        for path in paths:
            is_parent = any(other.startswith(path + "/") for other in paths)
            made.append(Cgroup(path, may_exist=is_parent))
            if is_parent:
                made[-1].share_memory_controller()
        yield made
    finally:
        for cgroup in reversed(made):
            cgroup.remove(shared=any(other.startswith(cgroup.path + "/") for other in paths))
