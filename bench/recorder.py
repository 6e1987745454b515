# SPDX-License-Identifier: Apache-2.0
"""What the flight recorder costs this machine, by how many memory cgroups it has.

    python -m bench.recorder [--seconds 10]

The goals: 1 us for a cgroup, 1 ms in one go, 4 MiB of kernel memory for 4,096 cgroups. Empty
cgroups are made for it; each is walked through once a second, as by default.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from container_oomkill.probe.attach import attach
from container_oomkill.probe.object_file import read_object
from container_oomkill.recorder.settings import RecorderSettings
from tests.support.kernel.cgroups import V1_ROOT, V2_ROOT, is_v1

CGROUPS = (0, 1000, 4000, 5000)  # beside those that the machine has
SECONDS = 10
BELOW_ONE = 100  # cgroups in a parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.recorder", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each number of cgroups")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = measure(args.seconds)
    print(json.dumps(rows) if args.json else "\n".join(map(words, rows)))
    return 0


def words(row: dict[str, Any]) -> str:
    return (
        f"{row['cgroups']:6,} cgroups, {row['recorded']:6,} recorded: "
        f"{row['ns_per_cgroup']:5,.0f} ns each, "
        f"{row['longest_us']:5,.0f} us in one go, {100 * row['cpu_share']:.3f} % of a CPU, "
        f"{row['missed']} of {row['walks'] + row['missed']} ticks missed, "
        f"{row['memory_bytes'] / (1 << 20):.2f} MiB"
    )


def measure(seconds: int = SECONDS) -> list[dict[str, Any]]:
    """A row for each number of cgroups."""
    rows = []
    for count in CGROUPS:
        with cgroups(count):
            rows.append(_measured(seconds))
    return rows


def _measured(seconds: int) -> dict[str, Any]:
    with attach(read_object(), recorder=RecorderSettings()) as probe:
        if probe.recorder is None:
            raise SystemExit(f"bench: no flight recorder here: {probe.recorder_refused}")
        time.sleep(3)  # the first walk makes the recordings
        before, began = probe.recorder.status(), time.monotonic()
        time.sleep(seconds)
        after, took = probe.recorder.status(), time.monotonic() - began
    walks = after["walks"] - before["walks"]
    busy = after["busy_ns"] - before["busy_ns"]
    return {
        "cgroups": after["cgroups"],
        "recorded": after["recorded"],
        "walks": walks,
        "missed": after["missed_ticks"] - before["missed_ticks"],
        "ns_per_cgroup": busy / max(walks * after["cgroups"], 1),
        "longest_us": after["longest_ns"] / 1000,
        "cpu_share": busy / took / 1e9,
        "memory_bytes": after["memory_bytes"],
    }


@contextlib.contextmanager
def cgroups(count: int) -> Any:
    """So many empty memory cgroups, a hundred in each parent."""
    top = (V1_ROOT if is_v1() else V2_ROOT) / f"oomkill-bench-{os.getpid()}"
    made: list[Path] = []
    try:
        if count:
            made.append(top)
            top.mkdir()
            share(top)
        for parent in range(count // BELOW_ONE):
            made.append(top / str(parent))
            made[-1].mkdir()
            share(made[-1])
            for child in range(BELOW_ONE - 1):
                made.append(top / str(parent) / str(child))
                made[-1].mkdir()
        yield
    finally:
        remove(made)


def share(folder: Path) -> None:
    if not is_v1():
        (folder / "cgroup.subtree_control").write_text("+memory")


def remove(made: Sequence[Path]) -> None:
    for folder in reversed(made):
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()


if __name__ == "__main__":
    raise SystemExit(main())
