# SPDX-License-Identifier: Apache-2.0
"""Measures the time from exec to attached and from the ring to the metrics, and the throughput.

    python -m bench.latency [--kills 200]

The rate is of one process on one CPU, fed with real records; the latency of real kills, from the
kernel's time stamp to the moment the incident is on /metrics.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from container_oomkill.diagnosis import verdict
from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident.assembler import Assembler
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.host import read_host
from container_oomkill.incident.model import Incident
from container_oomkill.libbpf.ring import Ring
from container_oomkill.pipeline.pipeline import Pipeline
from container_oomkill.probe.attach import attach
from container_oomkill.probe.kernel_counts import counts_by_cgroup, read_kernel_kills
from container_oomkill.probe.object_file import read_object
from container_oomkill.probe.probe import Probe
from container_oomkill.sinks import json_lines
from container_oomkill.system.shutdown import ShutdownRequest
from tests.support.kernel.cgroups import cgroups
from tests.support.kernel.processes import Hog, compile_hog

from . import starts
from .kill_times import bpf_ns

RATE_INCIDENTS = 20_000
STATS_KILLS = 20
GIVE_UP_SECONDS = 120
REST_SECONDS = 0.05
BPF_STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
GOALS = "goals: 20,000 incidents/s; p50 <= 1 ms, p99 <= 10 ms on an idle machine; 50 us"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="the numbers alone")
    args = parser.parse_args()
    figures = measure(args.kills)
    if args.json:
        print(json.dumps(figures))
        return 0
    print(f"\nfrom the ring to the metrics, hook {figures['hook']}\n")
    for name, taken in figures["start_ms"].items():
        print(f"{'start of ' + name:40} {statistics.median(taken):8.2f} ms")
    print(f"{'ring to metrics':40} {figures['incidents_per_second']:8,.0f} incidents/s")
    for name, late in (
        ("kernel to metrics", figures["latency_ms"]),
        ("on another CPU", figures["latency_apart_ms"]),
    ):
        if late:
            print(f"{name + ', p50':40} {statistics.median(late):8.2f} ms   of {len(late)} kills")
            print(f"{name + ', p99':40} {late[int(len(late) * 0.99)]:8.2f} ms")
    print(f"{'BPF in a kill, of ten processes':40} {statistics.median(figures['bpf_us']):8.2f} us")
    print(GOALS)
    return 0


def measure(kills: int) -> dict[str, Any]:
    """Incidents a second, and the milliseconds that each start and each of so many kills took."""
    started = starts.measure()
    with tempfile.TemporaryDirectory() as folder, attach(read_object()) as probe:
        probe.enter_earlier_counts(counts_by_cgroup())
        hog = compile_hog(Path(folder) / "hog")
        record = capture(probe, hog)
        exporter = Exporter(ExporterSettings(), probe, version="bench", render=json_lines.render)
        return {
            "hook": probe.hook,
            "start_ms": started,
            "record_bytes": len(record),
            "incidents_per_second": rate(record, exporter),
            "latency_ms": milliseconds(latencies(probe, exporter, hog, kills)),
            "latency_apart_ms": milliseconds(
                latencies(probe, exporter, hog, kills, apart=True)
                if len(os.sched_getaffinity(0)) > 1
                else []
            ),
            "bpf_us": bpf_us(probe, hog),
        }


def milliseconds(seconds: list[float]) -> list[float]:
    return [each * 1e3 for each in seconds]


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
            exporter.sink(verdict.explain(resolve(incident)))
    return RATE_INCIDENTS / (time.perf_counter() - started)


def count(record: bytes, exporter: Exporter) -> None:
    """Take it as often, but only until the metrics have it: `pipeline.delivery`'s first half."""
    assembler = Assembler(Decoder(read_host()), time.monotonic, read_kernel_kills, None)
    for position in range(RATE_INCIDENTS):
        for incident, _ in assembler.take(record, position):
            exporter.metrics(verdict.add_scope(resolve(incident)))


def latencies(
    probe: Probe, exporter: Exporter, hog: Path, kills: int, *, apart: bool = False
) -> list[float]:
    """Seconds from the kernel's time stamp to being served, sorted.

    Who kills is a process of its own: it would keep the reader from running, as no user's does.
    ``apart``: on another CPU as well. The kernel wakes the reader in the middle of a kill, and on
    the same CPU a kernel without preemption goes on with the kill until it is over, or its tick.
    """
    late: list[float] = []

    def count(incident: Incident) -> None:
        exporter.metrics(incident)
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        late.append((now - incident.boot_ns) / 1e9)

    stop = ShutdownRequest()
    cpus = os.sched_getaffinity(0)
    killers = {min(cpus)} if apart else cpus
    killer = multiprocessing.get_context("fork").Process(target=rests, args=(hog, kills, killers))
    killer.start()
    discarded = threading.Timer(GIVE_UP_SECONDS, stop.set)
    discarded.start()
    os.sched_setaffinity(0, cpus - killers or cpus)
    Pipeline(probe, [exporter.show], count=count).run(stop, count=kills)
    os.sched_setaffinity(0, cpus)
    discarded.cancel()
    killer.join()
    assert killer.exitcode == 0, "a hog was not killed"
    assert len(late) == kills, f"{len(late)} of {kills} kills within {GIVE_UP_SECONDS} s"
    return sorted(late)


def rests(hog: Path, kills: int, cpus: set[int]) -> None:
    """Kill on these CPUs, with some rest between two kills: the machine is idle."""
    os.sched_setaffinity(0, cpus)
    kill(hog, kills, lambda: time.sleep(REST_SECONDS))


def bpf_us(probe: Probe, hog: Path) -> list[float]:
    """Microseconds that the BPF programs ran for each of some kills, of ten processes one."""
    taken = []
    with bpf_stats(), crowd(hog) as kill_one:
        for _ in range(STATS_KILLS):
            taken.append(ran_us(kill_one))
            empty(probe.ring)
    return taken


@contextmanager
def crowd(hog: Path) -> Iterator[Callable[[], None]]:
    """Give what has one of ten processes of a container killed."""
    with cgroups("/docker-bench", "/docker-bench/" + "ab" * 32) as (_, cgroup):
        cgroup.limit(32)
        others = [Hog(hog, cgroup, "anon 1 ready wait").ready() for _ in range(9)]

        def kill_one() -> None:
            victim = Hog(hog, cgroup, "adj 1000 anon 48")
            assert victim.was_killed()
            victim.close()

        yield kill_one
        for each in others:
            each.close()


def ran_us(kill_one: Callable[[], None]) -> float:
    """Microseconds that the BPF programs of this process ran meanwhile."""
    before = bpf_ns()
    kill_one()
    return (bpf_ns() - before) / 1e3


def empty(ring: Ring) -> None:
    for _, position in ring.read():
        ring.release(position)


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
