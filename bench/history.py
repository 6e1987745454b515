# SPDX-License-Identifier: Apache-2.0
"""Measures `--history`: what it costs to write an incident, and to load many at the start.

    python -m bench.history [--incidents 1000] [--rounds 5] [--folder build]

Writing is the time of the thread that the history has for itself, most of it the disk's; the
reader of the ring pays for none of it. The folder decides whose disk it is.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KIB = 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.history")
    parser.add_argument("--incidents", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("build"), help="default: build")
    parser.add_argument("--part", choices=tuple(PARTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(PARTS[args.part](args.folder / "history", args.incidents)))
        return 0
    args.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        written = part("write", folder, args.incidents)
        written |= part("replace", folder, args.incidents)
        starts = [part("start", folder, args.incidents) for _ in range(args.rounds)]
        idle = [part("idle", folder, args.incidents) for _ in range(args.rounds)]
    print(f"\nthe history, {args.incidents} incidents, medians of {args.rounds} starts\n")
    for name, value in written.items():
        print(f"  {name:<44}{value:>10.2f}")
    for name in starts[0]:
        value = statistics.median(each[name] for each in starts)
        before = statistics.median(each.get(name, 0) for each in idle)
        print(f"  {name:<44}{value - before:>10.2f}")
    return 0


def part(name: str, folder: str, incidents: int) -> dict[str, float]:
    """Measure in a process of its own, whose memory and imports are no one else's."""
    command = [sys.executable, "-m", "bench.history", "--part", name, "--folder", folder]
    command += ["--incidents", str(incidents)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def opened(path: Path, incidents: int) -> Any:
    from container_oomkill.history.file import HistoryFile

    return HistoryFile(str(path), max_incidents=incidents, max_bytes=64 << 20)


def write(path: Path, incidents: int) -> dict[str, float]:
    from tests.support.incidents import incident

    file = opened(path, incidents)
    each: list[float] = []
    cpu = time.process_time()
    for number in range(1, incidents + 1):
        made = incident(number)
        begun = time.perf_counter()
        file(made)
        each.append(time.perf_counter() - begun)
    cpu = time.process_time() - cpu
    file.close()
    return {
        "write one, median, ms": statistics.median(each) * 1e3,
        "write one, 99th percentile, ms": statistics.quantiles(each, n=100)[98] * 1e3,
        "CPU of it, made and written, ms": cpu / incidents * 1e3,
        "file, KiB": path.stat().st_size / KIB,
    }


def replace(path: Path, incidents: int) -> dict[str, float]:
    """The one that finds twice as many there as are kept, in a copy of the file."""
    from tests.support.incidents import incident

    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    file = opened(copy, incidents // 2)
    file.load()
    made = incident(incidents + 1)
    begun = time.perf_counter()
    file(made)
    taken = time.perf_counter() - begun
    file.close()
    return {f"replace it, {incidents // 2} stay, ms": taken * 1e3}


def start(path: Path, incidents: int) -> dict[str, float]:
    """Open it as the exporter does, whose web and metrics have loaded json by then."""
    idle()
    begun = time.perf_counter()
    cpu = time.process_time()
    file = opened(path, incidents)
    loaded = file.load()
    cpu = time.process_time() - cpu
    taken = time.perf_counter() - begun
    if len(loaded) != incidents:
        raise SystemExit(f"{len(loaded)} incidents were loaded, {incidents} expected")
    held = memory()
    loaded.clear()
    return {"start, imports included, ms": taken * 1e3, "CPU of it, ms": cpu * 1e3} | held


def idle() -> dict[str, float]:
    """What is there without a history."""
    import container_oomkill.sinks.json_lines  # noqa: F401 - its memory is not the history's

    return memory()


def memory() -> dict[str, float]:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return {
        "memory with all of them held, KiB": float(resident),
        "memory at most, KiB": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
    }


PARTS: dict[str, Callable[[Path, int], dict[str, float]]]
PARTS = {"write": write, "replace": replace, "start": start, "idle": lambda *_: idle()}


if __name__ == "__main__":
    sys.exit(main())
