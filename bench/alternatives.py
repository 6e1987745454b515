# SPDX-License-Identifier: Apache-2.0
"""Measures what a library would cost where a few lines of ours do its work: importing it.

    python -m bench.alternatives

In a process that has imported what our own code runs beside, as that has some of it already.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROUNDS = 15
SOURCES = Path(__file__).parents[1] / "src"

# module of ours, library, what is imported by then, what using it needs imported
ALTERNATIVES = (
    (
        "system/log.py",
        "logging",
        "container_oomkill.cli.options, container_oomkill.probe.attach",
        "logging",
    ),
)

MEASURE = """
import json, time
def memory():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
import {before}
json.dumps(memory())
kib, begun = memory(), time.process_time()
import {library}
taken = time.process_time() - begun
print(json.dumps({{"ms": taken * 1e3, "kib": memory() - kib}}))
"""


def measure() -> list[dict[str, Any]]:
    """CPU time of the import, milliseconds, and what Pss grows by, KiB; each round a process."""
    found = []
    for ours, library, before, needed in ALTERNATIVES:
        program = MEASURE.format(before=before, library=needed)
        rounds = [_once(program) for _ in range(ROUNDS)]
        found.append(
            {
                "ours": ours,
                "library": library,
                "ms": [each["ms"] for each in rounds],
                "kib": statistics.median(each["kib"] for each in rounds),
            }
        )
    return found


def _once(program: str) -> dict[str, float]:
    command = [sys.executable, "-c", program]
    environ = os.environ | {"PYTHONPATH": str(SOURCES)}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environ).stdout
    figures: dict[str, float] = json.loads(output)
    return figures


def main() -> int:
    for each in measure():
        milliseconds = statistics.median(each["ms"])
        print(f"{each['ours']}: {each['library']}: {milliseconds:.1f} ms, {each['kib']:.0f} KiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
