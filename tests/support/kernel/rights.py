# SPDX-License-Identifier: Apache-2.0
"""What a process may do, thread by thread, from /proc/PID/task."""

from __future__ import annotations

from pathlib import Path

FILTER = "2"  # SECCOMP_MODE_FILTER


def rights(pid: int) -> list[dict[str, str]]:
    """The lines of each thread's status; the process's first thread comes first."""
    found = []
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        try:
            lines = (task / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        found.append({name: value.strip() for name, _, value in (x.partition(":") for x in lines)})
    return found
