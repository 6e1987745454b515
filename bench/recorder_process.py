# SPDX-License-Identifier: Apache-2.0
"""What the flight recorder costs the exporter's process: its memory, its wake-ups, a kill's record.

    python -m bench.recorder_process [--rounds 5] [--publish]

One exporter with it and one without (--recorder.max-cgroups 0), side by side: a kill by whatever
else runs here wakes both. Each is used: scraped as text and in OpenMetrics, and a page. Wake-ups:
how often its threads gave up the CPU to wait; the heartbeat is one of them. --publish writes the
section into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import time
from contextlib import ExitStack
from typing import Any

from container_oomkill.incident import wire

from .ratios import ASKED, EXPORTER, get
from .started import Started
from .trees import HERE, Tree

ROUNDS, SECONDS = 5, 20
WITHOUT = ("--recorder.max-cgroups", "0")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.recorder_process", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="in which wake-ups count")
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    found = measure(args.rounds, args.seconds)
    print(json.dumps(found, indent=1))
    if args.publish:
        from . import report

        report.write(json.loads(report.NUMBERS.read_text()) | {"recorder_process": found})
    return 0


def measure(rounds: int = ROUNDS, seconds: int = SECONDS) -> dict[str, Any]:
    """Medians, with it and without."""
    date, load = datetime.datetime.now(datetime.UTC).date().isoformat(), os.getloadavg()[0]
    options = {"with": (), "without": WITHOUT}
    taken: dict[str, list[tuple[int, int]]] = {name: [] for name in options}
    for _ in range(rounds):
        with ExitStack() as stack:
            started = {
                name: stack.enter_context(Started(Tree(HERE).command(*EXPORTER, *more)))
                for name, more in options.items()
            }
            memory = {name: _memory_used(each) for name, each in started.items()}
            before = {name: each.wake_ups() for name, each in started.items()}
            time.sleep(seconds)
            for name, each in started.items():
                taken[name].append((memory[name], each.wake_ups() - before[name]))
    found = {
        name: {
            "private_dirty_bytes": statistics.median(memory for memory, _ in each),
            "wake_ups": statistics.median(wake_ups for _, wake_ups in each),
        }
        for name, each in taken.items()
    }
    # In the ring: a record of its own beside the victim's.
    record = {"record_bytes": wire.BEFORE.size}
    return {"date": date, "load": load, "rounds": rounds, "seconds": seconds} | record | found


def _memory_used(exporter: Started) -> int:
    """Private dirty bytes of one that was used."""
    exporter.settle()
    for path, headers in ASKED:
        get(exporter.address(), path, headers)
    exporter.settle()
    return exporter.private_dirty()


if __name__ == "__main__":
    raise SystemExit(main())
