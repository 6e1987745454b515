# SPDX-License-Identifier: Apache-2.0
"""Keeps the kernel's count of kills beside the history: the next start knows what it missed.

Written at the start, after each incident and at the end. What is killed in between is in the
history, so a process that is killed leaves nothing that would be counted twice.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..incident.host import read_boot_id
from ..probe.kernel_counts import kernel_count, read_kernel_kills
from ..units import NS

if TYPE_CHECKING:
    from ..incident.model import Incident

SUFFIX = ".kernel-kills"
SAME_BOOT_SECONDS = 60.0  # by how much a clock may have been set since, and it is still this boot


class LastCount:
    """The file beside the history at ``path``: one process has it, the one that has the history."""

    def __init__(
        self,
        path: str,
        *,
        kernel_kills: Callable[[], int | None] = read_kernel_kills,
        boot_id: Callable[[], str] = read_boot_id,
        boot_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._path = Path(os.path.realpath(path) + SUFFIX)
        self._kernel_kills = kernel_kills
        self._boot_id = boot_id
        self._boot_ns = boot_ns

    def missed(self, kills_before: int | None, kept: Iterable[Incident]) -> int | None:
        """Return how many kills nobody recorded between the last process and this one.

        ``kills_before``: the kernel's count when this one attached; ``kept``: what the history has.
        None where no process left a count. After a boot, all of its kills until then are meant.
        """
        before = self._read()
        if before is None or kills_before is None:
            return None
        boot, then, counted = before
        if boot != self._boot_id():
            return kills_before
        since = (each for each in kept if each.boot_ns > then)
        recorded = sum(kernel_count(each) for each in since)
        return max(0, kills_before - counted - recorded)

    def write(self) -> None:
        """Keep the count of now. Where the disk does not take it, have none: one of before lies."""
        then = self._boot_ns()  # before the count: what comes between is in both, and is no loss
        counted = self._kernel_kills()
        if counted is None:
            return
        beside = self._path.with_name(self._path.name + ".rewriting")
        try:
            text = {"boot_id": self._boot_id(), "boot_ns": then, "kernel_kills": counted}
            beside.write_text(json.dumps(text) + "\n", encoding="ascii")
            beside.replace(self._path)
        except OSError:
            for each in (beside, self._path):
                with suppress(OSError):
                    each.unlink(missing_ok=True)

    def _read(self) -> tuple[str, int, int] | None:
        """Return boot id, time and count; None where there is no file, or it is damaged."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            found = json.loads(self._path.read_bytes())
            boot, then, counted = found["boot_id"], found["boot_ns"], found["kernel_kills"]
            if isinstance(boot, str) and type(then) is type(counted) is int:
                return boot, then, counted
        return None


def recorded_by_cgroup(
    kept: Iterable[Incident], *, now: float, now_boot_ns: int
) -> dict[int | None, int]:
    """Return how many kills of each cgroup, by its id, the history has of this boot.

    At most, as the kernel counts them: it may count the chosen process of a group twice.
    """
    found: dict[int | None, int] = {}
    booted = now - now_boot_ns / NS
    for each in kept:
        if abs(each.time - each.boot_ns / NS - booted) > SAME_BOOT_SECONDS:
            continue
        for number, victim in enumerate(each.victims):
            twice = bool(each.oom.group) and number == 0
            found[victim.cgroup_id] = found.get(victim.cgroup_id, 0) + 1 + twice
        for unlisted in each.unlisted.cgroups if each.unlisted else ():
            found[unlisted.cgroup_id] = found.get(unlisted.cgroup_id, 0) + unlisted.victims
    return found
