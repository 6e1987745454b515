# SPDX-License-Identifier: Apache-2.0
"""From the ring to the metrics: how many incidents a second, and how late each one is.

    python -m bench.flow [--kills 200]

The rate is of one process on one CPU, fed with real records; the latency of real kills, from the
kernel's time stamp to the moment the incident is on /metrics.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from container_oomkill import diagnosis
from container_oomkill.assembly import Assembler
from container_oomkill.exporter import Exporter, ExporterSettings
from container_oomkill.host import read_host
from container_oomkill.identity import resolve
from container_oomkill.incident import Decoder, Incident
from container_oomkill.kernel_kills import kills_by_cgroup, read_kernel_kills
from container_oomkill.object_file import read_object
from container_oomkill.pipeline import Pipeline
from container_oomkill.probe import Probe, attach
from container_oomkill.sinks import json_lines
from container_oomkill.stop import Stop
from tests.kernel.cgroups import cgroups
from tests.kernel.conftest import SOURCE
from tests.kernel.processes import Hog

from .kill_times import bpf_ns

RATE_INCIDENTS = 20_000
STATS_KILLS = 20
BPF_STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
GOALS = "goals: 20,000 incidents/s; p50 <= 1 ms, p99 <= 10 ms on an idle machine; 50 us"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.flow", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="the numbers alone")
    args = parser.parse_args()
    figures = measure(args.kills)
    if args.json:
        print(json.dumps(figures))
        return 0
    late = sorted(figures["latency_ms"])
    print(f"\nfrom the ring to the metrics, hook {figures['hook']}\n")
    print(f"{'ring to metrics':34} {figures['incidents_per_second']:8,.0f} incidents/s")
    print(f"{'kernel to metrics, p50':34} {statistics.median(late):8.2f} ms")
    p99 = late[int(len(late) * 0.99)]
    print(f"{'kernel to metrics, p99':34} {p99:8.2f} ms   of {len(late)} kills")
    print(f"{'BPF in a kill, of ten processes':34} {statistics.median(figures['bpf_us']):8.2f} us")
    print(GOALS)
    return 0


def measure(kills: int) -> dict[str, Any]:
    """Incidents a second, and the milliseconds that each of so many kills took."""
    with tempfile.TemporaryDirectory() as folder, attach(read_object()) as probe:
        probe.enter_earlier_kills(kills_by_cgroup())
        hog = compiled(Path(folder))
        record = capture(probe, hog)
        exporter = Exporter(ExporterSettings(), probe, version="bench", render=json_lines.render)
        return {
            "hook": probe.hook,
            "record_bytes": len(record),
            "incidents_per_second": rate(record, exporter),
            "latency_ms": [each * 1e3 for each in latencies(probe, exporter, hog, kills)],
            "bpf_us": bpf_us(probe, hog),
        }


def compiled(folder: Path) -> Path:
    import subprocess

    program = folder / "hog"
    subprocess.run(["cc", "-O1", "-pthread", str(SOURCE), "-o", str(program)], check=True)
    return program


def capture(probe: Probe, hog: Path) -> bytes:
    """One real record, as the ring has it."""
    kill(hog, 1)
    while True:
        probe.ring.wait(10)
        for data, position in probe.ring.read():
            probe.ring.release(position)
            return data


def kill(hog: Path, times: int, after_each: Callable[[], None] = lambda: None) -> None:
    with cgroups("/docker-bench", "/docker-bench/" + "ab" * 32) as (_, cgroup):
        cgroup.limit(16)
        for _ in range(times):
            started = Hog(hog, cgroup, "anon 24")
            assert started.was_killed()
            started.close()
            after_each()


def rate(record: bytes, exporter: Exporter) -> float:
    """Take the same record again and again: whole way, but for the kernel."""
    assembler = Assembler(Decoder(read_host()), time.monotonic, read_kernel_kills, None)
    started = time.perf_counter()
    for position in range(RATE_INCIDENTS):
        for incident, _ in assembler.take(record, position):
            exporter.sink(diagnosis.explain(resolve(incident)))
    return RATE_INCIDENTS / (time.perf_counter() - started)


def latencies(probe: Probe, exporter: Exporter, hog: Path, kills: int) -> list[float]:
    """Seconds from the kernel's time stamp to being served, sorted."""
    import threading

    late: list[float] = []

    def measure(incident: Incident) -> None:
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        late.append((now - incident.boot_ns) / 1e9)

    stop = Stop()
    pipeline = Pipeline(probe, [exporter.sink, measure])
    thread = threading.Thread(target=pipeline.run, args=[stop], kwargs={"count": kills})
    thread.start()
    kill(hog, kills, lambda: time.sleep(0.01))
    thread.join(30)
    stop.set()
    return sorted(late)


def bpf_us(probe: Probe, hog: Path) -> list[float]:
    """Microseconds that the BPF programs ran for each of some kills, of ten processes one."""
    taken = []
    with bpf_stats(), cgroups("/docker-bench", "/docker-bench/" + "ab" * 32) as (_, cgroup):
        cgroup.limit(32)
        others = [Hog(hog, cgroup, "anon 1 ready wait").ready() for _ in range(9)]
        for _ in range(STATS_KILLS):
            before = bpf_ns()
            victim = Hog(hog, cgroup, "adj 1000 anon 48")
            assert victim.was_killed()
            victim.close()
            taken.append((bpf_ns() - before) / 1e3)
            for _, position in probe.ring.read():
                probe.ring.release(position)
        for each in others:
            each.close()
    return taken


@contextmanager
def bpf_stats() -> Iterator[None]:
    """The kernel counts the time that BPF programs run; off again at the end, as it was."""
    before = BPF_STATS.read_text()
    BPF_STATS.write_text("1")
    try:
        yield
    finally:
        BPF_STATS.write_text(before)


if __name__ == "__main__":
    sys.exit(main())
