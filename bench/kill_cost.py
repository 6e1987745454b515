# SPDX-License-Identifier: Apache-2.0
"""What the BPF programs add to a kill: their own run time, as a share of the kill.

    python -m bench.kill_cost [--kernel 6.12] [--hooks fentry,kprobe,raw_tracepoint] [--kills 5]

A kill lasts from the call of out_of_memory() to its return. Both times are those of an emulated
guest, many times too long; the share is what counts. The goal: under 1 % of the kill, and 50 us
with 10 processes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.kernel.processes import compile_hog
from tests.vm import guest, packages, table
from tests.vm.errors import VmError

SHARE = Path("build/bench")
HOOKS = ("fentry", "kprobe", "raw_tracepoint")
KILLS = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.kill_cost", description=__doc__)
    parser.add_argument("--kernel", choices=table.names(), default="6.12", help="of the guest")
    parser.add_argument("--hooks", default=",".join(HOOKS))
    parser.add_argument("--kills", type=int, default=KILLS, help="for each number of processes")
    args = parser.parse_args()
    try:
        rows = measure(args.kernel, args.hooks.split(","), args.kills)
    except VmError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    show(args.kernel, args.kills, rows)
    return 0


def measure(name: str, hooks: Sequence[str] = HOOKS, kills: int = KILLS) -> list[dict[str, Any]]:
    """A row for each hook and number of processes, times in microseconds; raises VmError."""
    SHARE.mkdir(parents=True, exist_ok=True)
    result = SHARE / "kill_cost.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.kill_times", str(result.resolve())]
    command += [str(compile_hog(SHARE.resolve() / "hog")), str(kills), *hooks]
    (kernel,) = packages.ensure(table.choose(name))
    ended = guest.run(kernel, command, share=SHARE, timeout=3600, memory="3G")
    if ended.returncode:
        raise VmError(ended.output)
    rows: list[dict[str, Any]] = json.loads(result.read_text())
    return rows


def show(kernel: str, kills: int, rows: list[dict[str, Any]]) -> None:
    """Print a row for each hook and number of processes."""
    print(f'\nkernel {kernel}, emulated; medians of {kills} kills; "without": nothing attached\n')
    print(f"{'':16} {'processes':>9} {'without':>12} {'kill':>12} {'of it BPF':>12} {'share':>8}")
    for row in rows:
        share = row["bpf_us"] / row["kill_us"]
        print(
            f"{row['hook']:16} {row['processes']:9,} {row['without_us']:9,.0f} us "
            f"{row['kill_us']:9,.0f} us {row['bpf_us']:9,.1f} us {share:8.2%}"
        )


if __name__ == "__main__":
    sys.exit(main())
