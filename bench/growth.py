# SPDX-License-Identifier: Apache-2.0
"""Measures how the cost of the exporter and of container names grows with their number.

    python -m bench.growth [--containers 1 10 100 1000 10000]

At the machine's own speed, without a kernel: see bench.exporter and bench.names.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from tests.support.exporter_process import running

from .exporter import MIB, scrape

SCRAPES = 7
PROMETHEUS = {
    "Accept": "application/openmetrics-text;version=1.0.0",
    "Accept-Encoding": "gzip",
}


def measure(containers: int) -> dict[str, Any]:
    """Of the exporter with so many killed containers, and of names with so many known."""
    figures: dict[str, Any] = {"containers": containers}
    with running() as child:
        scrape(child, PROMETHEUS)
        figures["idle_pss_mib"] = child.memory() / MIB
        before = child.cpu_seconds()
        child.tell(f"kills {containers}")
        figures["sink_us"] = (child.cpu_seconds() - before) / containers * 1e6
        taken = [scrape(child, PROMETHEUS) for _ in range(SCRAPES + 1)][1:]
        figures["scrape_ms"] = [seconds * 1e3 for seconds, _ in taken]
        figures["scrape_bytes"] = taken[0][1]
        figures["pss_mib"] = child.memory() / MIB
    with tempfile.TemporaryDirectory(prefix="oomkill-growth-") as folder:
        command = [sys.executable, "-m", "bench.names", "--measure", "docker"]
        command += ["--folder", folder, f"--containers={containers}", "--rounds=3"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures["names"] = json.loads(output)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.growth")
    parser.add_argument(
        "--containers", type=int, nargs="+", default=[1, 10, 100, 500, 1000, 10_000]
    )
    args = parser.parse_args()
    print("\n containers   Pss MiB   scrape ms   scrape bytes   learn us   names KiB")
    for containers in args.containers:
        found = measure(containers)
        print(
            f"{containers:11,} {found['pss_mib']:9.1f}"
            f" {statistics.median(found['scrape_ms']):11.1f} {found['scrape_bytes']:14,}"
            f" {found['names']['learn_us']:10.0f} {found['names']['memory_kib']:11.0f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
