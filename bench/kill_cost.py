# SPDX-License-Identifier: Apache-2.0
"""What the BPF programs add to a kill: their own run time, as a share of the kill.

    python -m bench.kill_cost [--kernel 6.12] [--hooks fentry,kprobe,raw_tracepoint] [--kills 5]

A kill lasts from the call of out_of_memory() to its return. Both times are those of an emulated
guest, many times too long; the share is what counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tests.vm import guest, packages, table
from tests.vm.errors import VmError

from .flow import compiled

SHARE = Path("build/bench")
GOALS = "goals: under 1 % of the kill; 50 us with 10 processes, on a machine that is not emulated"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.kill_cost", description=__doc__)
    parser.add_argument("--kernel", default="6.12", help="a name in tests/vm/kernels.toml")
    parser.add_argument("--hooks", default="fentry,kprobe,raw_tracepoint")
    parser.add_argument("--kills", type=int, default=5, help="for each number of processes")
    args = parser.parse_args()
    SHARE.mkdir(parents=True, exist_ok=True)
    result = SHARE / "kill_cost.json"
    command = [sys.executable, "-m", "bench.kill_times", str(result.resolve())]
    command += [str(compiled(SHARE.resolve())), str(args.kills), *args.hooks.split(",")]
    try:
        (kernel,) = packages.ensure(table.choose(args.kernel))
        ended = guest.run(kernel, command, share=SHARE, timeout=1800, memory="3G")
    except VmError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if ended.returncode:
        print(ended.output, file=sys.stderr)
        return 1
    show(kernel.release, args.kills, json.loads(result.read_text()))
    return 0


def show(release: str, kills: int, rows: list[dict[str, Any]]) -> None:
    """Print a row for each hook and number of processes."""
    print(f'\nkernel {release}, emulated; medians of {kills} kills; "without": nothing attached\n')
    print(f"{'':16} {'processes':>9} {'without':>12} {'kill':>12} {'of it BPF':>12} {'share':>8}")
    for row in rows:
        share = row["bpf_us"] / row["kill_us"]
        print(
            f"{row['hook']:16} {row['processes']:9,} {row['without_us']:9,.0f} us "
            f"{row['kill_us']:9,.0f} us {row['bpf_us']:9,.1f} us {share:8.2%}"
        )
    print(f"\n{GOALS}")


if __name__ == "__main__":
    sys.exit(main())
