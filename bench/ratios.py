# SPDX-License-Identifier: Apache-2.0
"""Measures this build beside another one, in turn, on this machine: what a user feels, as ratios.

    python -m bench.ratios --base COMMIT [--rounds 9] [--publish]

CPU time, not wall time, and private dirty memory, not Pss: neither depends much on what else runs.
Some three minutes. --publish writes the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from container_oomkill import libbpf
from container_oomkill.incident import wire
from container_oomkill.killers import attach as killers
from container_oomkill.libbpf._libbpf import lib
from container_oomkill.libbpf.core_types import KERNEL_TYPES, named
from container_oomkill.probe.attach import PROGRAMS
from container_oomkill.probe.object_file import PACKAGED
from container_oomkill.recorder import reclaim, recorder
from tests.support.exporter_process import Child

from . import least
from .started import Started, of_bare_python
from .trees import BUILT, HERE, Tree, base

BASE = "6b17964"
ROUNDS = 9
HOOK = "raw_tracepoint"
EXPORTER = ("exporter", "--web.listen-address", "127.0.0.1:0")
KILLED, KNOWN = 500, 2000
UNCHANGED = 20
OPENMETRICS = {
    "Accept": "application/openmetrics-text;version=1.0.0",
    "Accept-Encoding": "gzip",
}
ASKED: tuple[tuple[str, dict[str, str]], ...] = (
    ("/metrics", {}),
    ("/metrics", OPENMETRICS),
    ("/", {}),
)
# In a process of its own, with the packages of its tree: the same in both.
FLOW = """
import json, statistics, sys, tempfile, time
from pathlib import Path
import bench.latency as bench
from container_oomkill.incident import wire
from container_oomkill.probe.attach import attach
from container_oomkill.recorder.settings import RecorderSettings
kills = int(sys.argv[1])
bench.RATE_INCIDENTS = 4000
steps = {}
with tempfile.TemporaryDirectory() as folder, attach(
    bench.read_object(), hook="raw_tracepoint", recorder=RecorderSettings()
) as probe:
    for file in Path("/proc/self/fdinfo").iterdir():
        try:
            fields = dict(line.split(":", 1) for line in file.read_text().splitlines())
        except OSError:
            continue
        if "verified_insns" in fields:
            steps[fields["prog_id"].strip()] = int(fields["verified_insns"])
    probe.enter_earlier_counts(bench.counts_by_cgroup())
    hog = bench.compile_hog(Path(folder) / "hog")
    bench.kill(hog, 1)
    probe.ring.wait(10)
    records = list(probe.ring.read())
    probe.ring.release(records[-1][1])
    kind = wire.HEADER.offsets["kind"]
    record = next(data for data, _ in records if data[kind] == wire.lib.OOMKILL_VICTIM)
    exporter = bench.Exporter(
        bench.ExporterSettings(), probe, version="bench", render=bench.json_lines.render
    )
    def each_us(takes):
        began = time.process_time()
        takes(record, exporter)
        return (time.process_time() - began) / bench.RATE_INCIDENTS * 1e6
    whole = each_us(bench.rate)
    # Of an earlier build a kill is counted when all else is done.
    counted = each_us(bench.count) if hasattr(bench, "count") else whole
    # CPU time of the reader from its wake-up on: whatever else runs, it is the same.
    woken, busy = [0], []
    wait, metrics = probe.ring.wait, exporter.metrics
    def timed_wait(seconds):
        wait(seconds)
        woken[0] = time.thread_time_ns()
    def timed_metrics(incident):
        metrics(incident)
        busy.append((time.thread_time_ns() - woken[0]) / 1e6)
    probe.ring.wait, exporter.metrics = timed_wait, timed_metrics
    late = bench.latencies(probe, exporter, hog, kills)
    apart = bench.latencies(probe, exporter, hog, kills, apart=True)
    busy.sort()
    found = {
        "served_cpu_p50_ms": busy[len(busy) // 2],
        "served_cpu_p99_ms": busy[int(len(busy) * 0.99)],
        "kill_us": whole,
        "count_us": counted,
        "served_p50_ms": late[len(late) // 2] * 1e3,
        "served_p99_ms": late[int(len(late) * 0.99)] * 1e3,
        "served_apart_p50_ms": apart[len(apart) // 2] * 1e3,
        "served_apart_p99_ms": apart[int(len(apart) * 0.99)] * 1e3,
        "verifier_steps": sum(steps.values()),
        "record_bytes": len(record),
    }
print(json.dumps(found))
"""

# A group kill from the ring to metrics and pages; without a kernel, which needs minutes for it.
GROUP = """
import json, statistics, sys, time
from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.incident.wire import lib
from container_oomkill.pipeline.pipeline import Pipeline
from tests.support import records
from tests.support.hooks import Hooks
from tests.support.incidents import FakeProbe

def per_victim_us(victims):
    head = {"incident": 1, "boot_ns": 5_000_000_000}
    group = [
        records.victim(
            head=head | {"sequence": number},
            flags=lib.OOMKILL_GROUP,
            process__pid=number,
            process__tid=number,
        )
        for number in range(1, victims + 1)
    ]
    hooks = Hooks(1, *group, records.end(**head, sequence=victims + 1))
    exporter = Exporter(ExporterSettings(), FakeProbe(), version="0", render=str)
    told = []
    pipeline = Pipeline(hooks, [exporter.sink, told.append])
    began = time.process_time()
    pipeline.run(hooks.stop)
    took = time.process_time() - began
    assert len(told) == 1, told
    assert told[0].victims[0].pid == 1, len(told[0].victims)
    return took / victims * 1e6

per_victim_us(100)  # it fills caches
small, large = (
    statistics.median(per_victim_us(victims) for _ in range(rounds))
    for victims, rounds in ((100, 15), (10_000, 3))
)
print(json.dumps({"group_100_us": small, "group_10000_us": large}))
"""


def measure(commit: str, rounds: int = ROUNDS, kills: int = 200) -> dict[str, Any]:
    """Medians by figure and by whose they are."""
    trees = {"this": Tree(HERE), "base": base(commit)}
    found: dict[str, dict[str, Any]] = {name: {} for name in (*trees, "C", "C, few types")}
    _starts(found, trees, rounds)
    _memory(found, trees)
    for name, tree in trees.items():
        say(f"scrapes, {name}")
        found[name] |= scrapes(tree)
    flows: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for number in range(3):
        for name, tree in trees.items():
            say(f"kills, round {number + 1} of 3, {name}")
            flows[name].append(json.loads(tree.python(FLOW, str(kills))))
    say("BPF in a kill")
    found["this"] |= least.measure()
    for name, tree in trees.items():
        say(f"a group kill, {name}")
        found[name] |= json.loads(tree.python(GROUP))
    for name, all_rounds in flows.items():
        keys = all_rounds[0]
        found[name] |= {key: statistics.median(each[key] for each in all_rounds) for key in keys}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "base": commit,
        "rounds": rounds,
        "load": os.getloadavg()[0],
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "bare_python_bytes": of_bare_python(sys.executable),
        "found": found,
    }


def say(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)


def _starts(found: dict[str, dict[str, Any]], trees: dict[str, Tree], rounds: int) -> None:
    commands: dict[tuple[str, str], tuple[list[str], dict[str, str] | None]] = {
        (name, key): (tree.command(*argv), tree.environ)
        for name, tree in trees.items()
        for key, argv in (
            ("probe_ms", ("probe", "--hook", HOOK)),
            ("probe_any_hook_ms", ("probe",)),
            ("exporter_ms", EXPORTER),
        )
    }
    for name, loader in loaders().items():
        commands[name, "probe_ms"] = loader, None
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in commands}
    for number in range(rounds + 1):  # the first one fills the caches
        say(f"starts, round {number} of {rounds}")
        for figure, (command, environ) in commands.items():
            with Started(command, environ) as started:
                if number:
                    taken[figure].append(started.cpu_ms)
    for (name, key), each in taken.items():
        found[name][key] = statistics.median(each)


def loaders() -> dict[str, list[str]]:
    """The two loaders in C, built, with the very programs, constants and types of ours."""
    BUILT.mkdir(parents=True, exist_ok=True)
    loader = BUILT / "loader"
    source = Path(__file__).with_name("loader.c")
    subprocess.run(["cc", "-O2", "-Wall", "-o", loader, source, "-lbpf"], check=True)
    cpus = libbpf.possible_cpus()
    config = wire.config(
        hook=next(number for number, name in wire.HOOKS.items() if name == HOOK),
        cpus=cpus,
        pages_slack=64 * cpus,
        page_size=os.sysconf("SC_PAGE_SIZE"),
        cmdline=False,
        tick_ns=1_000_000_000,
    )
    constants, few = BUILT / "constants", BUILT / "types"
    constants.write_bytes(config)
    data = Path(PACKAGED).read_bytes()
    with libbpf.CoreTypes(None) as types, libbpf.open_object(data, "oomkill", types) as opened:
        own = named(Path(KERNEL_TYPES).read_bytes(), lib.bpf_object__btf(opened._obj))
    assert own is not None
    few.write_bytes(own)
    argv = [str(loader), PACKAGED, str(constants)]
    programs = (*PROGRAMS[HOOK], *reclaim.PROGRAMS, recorder.PROGRAM, killers.PROGRAM)
    return {"C": [*argv, "", *programs], "C, few types": [*argv, str(few), *programs]}


def _memory(found: dict[str, dict[str, Any]], trees: dict[str, Tree]) -> None:
    for name, tree in trees.items():
        say(f"memory, {name}")
        with Started(tree.command("probe"), tree.environ) as probe:
            probe.settle()
            found[name]["probe_bytes"] = probe.private_dirty()
        with Started(tree.command(*EXPORTER), tree.environ) as exporter:
            exporter.settle()
            found[name]["exporter_bytes"] = exporter.private_dirty()
            for path, headers in ASKED:
                get(exporter.address(), path, headers)
            exporter.settle()
            found[name]["exporter_used_bytes"] = exporter.private_dirty()


def get(address: str, path: str, headers: dict[str, str]) -> None:
    client = http.client.HTTPConnection(address, timeout=60)
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    answer.read()
    client.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}")


def scrapes(tree: Tree) -> dict[str, float]:
    """CPU of the first scrape after kills, and of one after nothing: ``unchanged_ms``."""
    with serving(tree) as child:
        child.tell(f"kills {KILLED}")
        for number in range(KNOWN):
            child.tell(f"register known-{number}")
        before = child.cpu_seconds()
        get(child.address, "/metrics", OPENMETRICS)
        first = child.cpu_seconds() - before
        time.sleep(1)  # it rests for as long as a page took
        before = child.cpu_seconds()
        for _ in range(UNCHANGED):
            get(child.address, "/metrics", OPENMETRICS)
        unchanged = (child.cpu_seconds() - before) / UNCHANGED
    return {"first_scrape_ms": first * 1e3, "unchanged_scrape_ms": unchanged * 1e3}


@contextmanager
def serving(tree: Tree) -> Iterator[Child]:
    """The tree's own exporter, fed by hand."""
    command = [sys.executable, "-m", "tests.support.exporter_main"]
    process = subprocess.Popen(
        [*command, "--web.listen-address=127.0.0.1:0"],
        cwd=tree.folder,
        env=tree.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Child(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()


def main() -> int:
    from . import report

    parser = argparse.ArgumentParser(prog="python -m bench.ratios")
    parser.add_argument("--base", default=BASE, help="commit or tag to compare with")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--publish", action="store_true", help="write docs/benchmarks.md")
    args = parser.parse_args()
    measured = measure(args.base, args.rounds)
    (BUILT / "ratios.json").write_text(json.dumps(measured, indent=1) + "\n")
    from .ratios_page import table_of

    print(table_of(measured))
    if args.publish:
        whole = json.loads(report.NUMBERS.read_text())
        whole["ratios"] = measured
        report.write(whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
