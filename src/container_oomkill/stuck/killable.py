# SPDX-License-Identifier: Apache-2.0
"""Looks whether the OOM killer could kill anything in a cgroup: by its processes' oom_score_adj."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

V2_ROOT, V1_ROOT = "/sys/fs/cgroup", "/sys/fs/cgroup/memory"
NEVER = -1000  # OOM_SCORE_ADJ_MIN, include/uapi/linux/oom.h
PROCESSES_MAX = 4096
FOLDERS_MAX = 256


def is_anything_killable(
    path: str | None, cgroup_id: int | None, root: str = "", *, proc: str = "/proc"
) -> bool | None:
    """``root``: where the host's file system is mounted. None: it cannot be seen from here.

    Asked at once, while it is stuck. The host's process ids must be seen too.
    """
    if not path or not path.startswith("/") or ".." in path.split("/"):
        return None
    for mount in (V2_ROOT, V1_ROOT):
        for folder in dict.fromkeys((f"{root}{mount}{path}", f"{mount}{path}")):
            try:
                if Path(folder).stat().st_ino == cgroup_id:
                    return _any_killable(folder, proc)
            except (OSError, ValueError):
                continue
    return None


def _any_killable(folder: str, proc: str) -> bool | None:
    seen = 0
    for pid in _processes(folder):
        seen += 1
        if pid <= 0 or seen > PROCESSES_MAX:  # 0: of a PID namespace that is not ours
            return None
        try:
            if int(Path(f"{proc}/{pid}/oom_score_adj").read_text(encoding="ascii")) > NEVER:
                return True
        except FileNotFoundError:
            continue  # it has ended
        except (OSError, ValueError):
            return None
    return False if seen else None


def _processes(folder: str) -> Iterator[int]:
    """Those of the cgroups below it included."""
    for number, (where, _, _) in enumerate(os.walk(folder)):
        if number >= FOLDERS_MAX:
            yield 0
            return
        try:
            yield from map(int, Path(where, "cgroup.procs").read_text(encoding="ascii").split())
        except FileNotFoundError:  # removed meanwhile
            continue
