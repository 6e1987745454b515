# SPDX-License-Identifier: Apache-2.0
"""Boots one kernel, measures every tool in it in turn, prints medians and ratios.

    python -m bench [--kernel 6.12] [--rounds 7]

Absolute times are those of an emulated guest and mean little; the ratios are what counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from tests.vm import guest, packages, table
from tests.vm.errors import VmError

from .install import install
from .peers import fetch_libbpf_tools

SHARE = Path("build/bench")
FLOOR = "libbpf-tools oomkill"
GOALS = {"attached": 1.5, "pss": 11.0}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--kernel", default="6.12", help="a name in tests/vm/kernels.toml")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds, after a warm-up")
    args = parser.parse_args()
    SHARE.mkdir(parents=True, exist_ok=True)
    result = SHARE / "startup.json"
    try:
        (kernel,) = packages.ensure(table.choose(args.kernel))
        peer = fetch_libbpf_tools()
        python = install(SHARE / "venv")
        command = [str(python), "-m", "bench.startup", str(result.resolve()), str(args.rounds)]
        ended = guest.run(
            kernel, [*command, *([str(peer)] if peer else [])], share=SHARE, timeout=1800
        )
    except VmError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if ended.returncode:
        print(ended.output, file=sys.stderr)
        return 1
    show(kernel.release, json.loads(result.read_text()), missing=not peer)
    return 0


def show(release: str, measured: dict[str, dict[str, list[float]]], *, missing: bool) -> None:
    """Print a row for each tool; ratios to the floor, the C tool on the same kernel."""
    print(f"\nkernel {release}, emulated, 2 CPUs; medians of {rounds(measured)} rounds\n")
    print(f"{'':30} {'exec to attached':>24}   {'Pss once attached':>17}")
    floor = statistics.median(measured[FLOOR]["seconds"]) if FLOOR in measured else None
    for tool, figures in measured.items():
        seconds = statistics.median(figures["seconds"])
        ratio = f"{seconds / floor:5.2f} x" if floor else "      -"
        spread = f"[{min(figures['seconds']):.2f}-{max(figures['seconds']):.2f}]"
        pss = f"{statistics.median(figures['pss_mib']):8.1f} MiB" if figures["pss_mib"] else ""
        print(f"{tool:30} {seconds:6.2f} s {spread:12} {ratio}   {pss:>17}")
    if missing:
        print(f"{FLOOR:30} missing: no package of it could be had here")
    print(f"\ngoals: attached <= {GOALS['attached']} x, Pss <= {GOALS['pss']:.0f} MiB")


def rounds(measured: dict[str, dict[str, list[float]]]) -> int:
    return min(len(figures["seconds"]) for figures in measured.values())


if __name__ == "__main__":
    sys.exit(main())
