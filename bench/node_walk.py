# SPDX-License-Identifier: Apache-2.0
"""How long a node-wide kill is held up while the node's memory is read, by its memory cgroups.

    python -m bench.node_walk [--times 200]

The goal: 1 ms under the kernel's oom_lock with 1,000 cgroups. The program that runs at such a kill
is run by hand, so nobody is killed; the time is the kernel side's own (`read_seconds`). Empty
cgroups are made for it, a hundred in each parent, and 20 deep.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from container_oomkill.incident.node_memory import NodeMemory
from tests.support.kernel.cgroups import V1_ROOT, V2_ROOT, is_v1
from tests.support.kernel.node_memory import node_reader

from .recorder import cgroups, remove, share

TIMES = 200
WIDE = (0, 1000, 4000)  # beside those that the machine has
DEEP, DEPTH = 1000, 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.node_walk", description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES, help="for each number of cgroups")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.times)
    print(json.dumps(found) if args.json else "\n".join(map(words, found["rows"])))
    return 0


def words(row: dict[str, Any]) -> str:
    return (
        f"{row['cgroups']:6,} cgroups, {row['form']}: {row['median_us']:6,.0f} us, "
        f"the longest {row['longest_us']:6,.0f} us"
        f"{', cut' if row['cut'] else ''}"
    )


def measure(times: int = TIMES) -> dict[str, Any]:
    """When, how busy the machine was, and a row for each number of cgroups."""
    date, load = datetime.datetime.now(datetime.UTC).date().isoformat(), os.getloadavg()[0]
    rows = []
    with node_reader() as read:
        for count in WIDE:
            with cgroups(count):
                rows.append(_measured(read, times, "wide"))
        with deep():
            rows.append(_measured(read, times, f"{DEPTH} deep"))
    return {"date": date, "load": load, "times": times, "rows": rows}


def _measured(read: Callable[[], NodeMemory], times: int, form: str) -> dict[str, Any]:
    read()  # what it calls for the first time is not in the caches
    found = [read() for _ in range(times)]
    took = [1e6 * each.read_seconds for each in found if each.read_seconds is not None]
    last = found[-1]
    return {
        "cgroups": (last.other_cgroups or 0) + len(last.cgroups or ()),
        "form": form,
        "median_us": statistics.median(took),
        "longest_us": max(took),
        "cut": bool(last.approximate),
    }


@contextlib.contextmanager
def deep() -> Iterator[None]:
    """As many as `DEEP`, each below the one before until they are `DEPTH` deep."""
    made = [(V1_ROOT if is_v1() else V2_ROOT) / f"oomkill-bench-{os.getpid()}-deep"]
    try:
        made[0].mkdir()
        share(made[0])
        for branch in range(DEEP // DEPTH):
            path = made[0] / str(branch)
            for _ in range(DEPTH):
                path.mkdir()
                made.append(path)
                share(path)
                path /= "below"
        yield
    finally:
        remove(made)


if __name__ == "__main__":
    raise SystemExit(main())
