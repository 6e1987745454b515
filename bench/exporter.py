# SPDX-License-Identifier: Apache-2.0
"""Measures the exporter without a kernel: memory, time and CPU of a scrape and of the page,
incidents per second.

    python -m bench.exporter [--containers 500] [--rounds 20]

Beside it, in a process of its own, what the prototype does: one gauge of prometheus_client for
each number. Unlike everything that needs a kernel this runs at the machine's own speed. Pss
depends on what else has Python's libraries mapped; Rss is what it comes to with nothing else.
"""

from __future__ import annotations

import argparse
import gc
import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.exporter_process import Child, running

MIB = 1 << 20
GOALS = {
    "pss_mib": 20.0,
    "incidents_per_second": 20_000.0,
    "page_ms": 50.0,
    "page_kb": 300.0,
    "page_pss_mib": 3.0,
}
SCRAPES = {
    "plain text": {},
    "OpenMetrics, gzip (Prometheus)": {
        "Accept": "application/openmetrics-text;version=1.0.0",
        "Accept-Encoding": "gzip",
    },
}
GAUGES = 38  # the prototype's, for each container


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.exporter")
    parser.add_argument("--containers", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--gauges", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.gauges:
        measure_gauges(args.containers, args.rounds)
    else:
        measure(args.containers, args.rounds)
    return 0


def measure(containers: int, rounds: int) -> None:
    """Print the exporter's rows, then the prototype's."""
    print(f"\nthe exporter, {containers} killed containers, medians of {rounds} scrapes\n")
    with running() as child:
        scrape(child, {})
        show_memory("idle, scraped once", child.pid)
        child.tell(f"kills {containers}")
        show_memory("after the kills", child.pid)
        for name, headers in SCRAPES.items():
            scrape(child, headers)  # the first one turns incidents into numbers
            before = child.cpu_seconds()
            taken = [scrape(child, headers) for _ in range(rounds)]
            cpu = (child.cpu_seconds() - before) / rounds
            show_scrape(name, [t for t, _ in taken], cpu, taken[0][1])
        show_memory("after the scrapes", child.pid)
    with running(f"--web.max-incidents={containers}") as child:
        child.tell(f"kills {containers}")
        show_memory("before the first page", child.pid)
        show_page(child, "overview, for the first time", 1)
        show_memory("after the first page", child.pid)
        show_page(child, "overview", rounds)
        show_page(child, "overview, filtered", rounds, "/?namespace=shop&container=app-7")
        show_memory("after the pages", child.pid)
    print(f"{'sink':34} {sink_rate(containers):8,.0f} incidents/s")
    print("\nas the prototype does: gauges of prometheus_client\n", flush=True)
    command = [sys.executable, "-m", "bench.exporter", "--gauges"]
    subprocess.run(
        [*command, f"--containers={containers}", f"--rounds={min(rounds, 5)}"], check=True
    )
    print(
        f"\ngoals: Pss <= {GOALS['pss_mib']:.0f} MiB,"
        f" >= {GOALS['incidents_per_second']:,.0f} incidents/s from the ring to the metrics,"
        f"\nthe page <= {GOALS['page_ms']:.0f} ms, {GOALS['page_kb']:.0f} kB,"
        f" {GOALS['page_pss_mib']:.0f} MiB of Pss"
    )


def show_page(child: Child, name: str, rounds: int, path: str = "/") -> None:
    before = child.cpu_seconds()
    taken = [scrape(child, {}, path) for _ in range(rounds)]
    cpu = (child.cpu_seconds() - before) / rounds
    show_scrape(name, [t for t, _ in taken], cpu, taken[0][1])


def scrape(child: Child, headers: dict[str, str], path: str = "/metrics") -> tuple[float, int]:
    """Seconds and bytes of one answer."""
    client = http.client.HTTPConnection(child.address, timeout=60)
    started = time.perf_counter()
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    size = len(answer.read())
    taken = time.perf_counter() - started
    client.close()
    if answer.status != 200:
        raise RuntimeError(f"scrape: {answer.status}")
    return taken, size


def sink_rate(containers: int) -> float:
    """Incidents per second that the sink takes, in this process."""
    from container_oomkill.exporter.exporter import Exporter, ExporterSettings
    from tests.support.incidents import FakeProbe, container, incident

    exporter = Exporter(ExporterSettings(), FakeProbe(), version="0", render=str)
    incidents = [
        incident(number, container=container(f"app-{number}")) for number in range(containers)
    ]

    def feed() -> None:
        for each in incidents:
            exporter.sink(each)

    return containers / best(feed)


def best(work: Callable[[], None], rounds: int = 30) -> float:
    """The shortest time: whatever else runs here can only add to it."""
    times = []
    gc.disable()
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    gc.enable()
    return min(times)


def measure_gauges(containers: int, rounds: int) -> None:
    """The prototype's way: a labelled gauge object for each number, rendered at each scrape."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

    registry = CollectorRegistry()
    labels = ["namespace", "pod", "container"]
    for number in range(GAUGES):
        gauge = Gauge(
            f"container_oomkill_gauge_{number}_bytes", "x" * 40, labels, registry=registry
        )
        for each in range(containers):
            gauge.labels("shop", "cart-7d9f4", f"app-{each}").set(each * 4096)
    for name, encode in (("plain text", generate_latest), ("OpenMetrics", openmetrics)):
        times, cpu = [], time.process_time()
        for _ in range(rounds):
            started = time.perf_counter()
            size = len(encode(registry))
            times.append(time.perf_counter() - started)
        show_scrape(name, times, (time.process_time() - cpu) / rounds, size)
    show_memory("after the scrapes", os.getpid())


def show_memory(name: str, pid: int) -> None:
    figures = []
    for field in ("Pss", "Rss", "Anonymous"):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        line = next(line for line in text.splitlines() if line.startswith(field + ":"))
        figures.append(f"{field} {int(line.split()[1]) * 1024 / MIB:5.1f}")
    print(f"{name:34} {'   '.join(figures)} MiB")


def show_scrape(name: str, times: list[float], cpu: float, size: int) -> None:
    print(
        f"{name:34} {statistics.median(times) * 1e3:6.1f} ms"
        f" [{min(times) * 1e3:.1f}-{max(times) * 1e3:.1f}]"
        f"   CPU {cpu * 1e3:6.1f} ms   {size:,} bytes"
    )


if __name__ == "__main__":
    sys.exit(main())
