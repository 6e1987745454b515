# SPDX-License-Identifier: Apache-2.0
"""Measures every tool in a guest, and our own speed outside; writes docs/benchmarks.*.

    python -m bench [--kernel 6.12] [--quick]

Some half an hour with nothing else running, of which the guests take most; --quick, the half.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.vm import table
from tests.vm.errors import VmError
from tests.vm.guest import end_with_us

from . import growth, guest, kill_cost, libraries, node_walk, recorder, recorder_process, report

CONTAINERS = (1, 10, 100, 500, 1000, 10_000)
FULL = guest.Effort()
QUICK = guest.Effort(rounds=3, kills=10)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--kernel", choices=table.names(), default="6.12", help="of the guest")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    args = parser.parse_args()
    end_with_us()
    measured: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
    }
    try:
        say("our own speed")
        measured["flow"] = flow()
        say("the flight recorder")
        measured["recorder"] = recorder.measure()
        measured["recorder_process"] = recorder_process.measure()
        say("whose the node's memory was")
        measured["node_walk"] = node_walk.measure()
        say("what libraries would cost")
        rounds = libraries.QUICK_ROUNDS if args.quick else libraries.ROUNDS
        measured["libraries"] = libraries.measure(rounds)
        say("growth")
        measured["growth"] = [growth.measure(containers) for containers in CONTAINERS]
        say(f"every tool, in a guest with kernel {args.kernel}")
        measured["guest"] = guest.measure(args.kernel, QUICK if args.quick else FULL)
        say("what a kill costs, by the processes in its cgroup")
        measured["kill_cost"] = kill_cost.measure(args.kernel)
    except VmError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        guest.SHARE.mkdir(parents=True, exist_ok=True)
        (guest.SHARE / "measured.json").write_text(json.dumps(measured, indent=1) + "\n")
    report.write(measured)
    print(report.page(measured))
    say(f"written: {report.PAGE}, {report.NUMBERS}, {report.PICTURE}, {report.LINES}")
    return 0


def say(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpus": os.cpu_count(),
        "cpu": models[0] if models else platform.machine(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def flow() -> dict[str, Any]:
    """In a process of its own: the probe is attached in it."""
    command = [sys.executable, "-m", "bench.latency", "--json"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(output)
    return figures


if __name__ == "__main__":
    sys.exit(main())
