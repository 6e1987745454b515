# SPDX-License-Identifier: Apache-2.0
"""Measures container names: memory and time with many containers, and how starts are learned.

    python -m bench.names [--containers 1000] [--rounds 20]

State folders are made on disk as the runtimes lay them out, with files as long as theirs. Times are
CPU time on this machine, but for "all starts"; nothing needs root or a kernel.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.trees import C, containerd_config, docker_config, podman_entry

RUNTIMES = ("docker", "containerd", "podman")
UID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
PADDING = {"docker": 3000, "containerd": 9000, "podman": 0}  # to the length of a real file, bytes


def container_id(number: int) -> str:
    return f"{number:08x}" + C[8:]


def cgroup(runtime: str, number: int) -> str:
    return {
        "docker": f"/docker/{container_id(number)}",
        "containerd": f"/kubepods/burstable/pod{UID}/{container_id(number)}",
        "podman": f"/libpod_parent/libpod-{container_id(number)}",
    }[runtime]


def start(runtime: str, folder: Path, numbers: range) -> None:
    """Make the state of containers, one start after the other, as the runtime does."""
    padding = {"padding": "x" * PADDING[runtime]}
    if runtime == "podman":  # rewrites its one list at every start
        entries = [podman_entry(container_id(number), f"web-{number}") for number in numbers]
        put(folder / "containers.json", entries)
        return
    for number in numbers:
        its_id = container_id(number)
        if runtime == "docker":
            config = docker_config(its_id, Name=f"/web-{number}") | padding
            put(folder / its_id / "config.v2.json", config)
        else:
            put(folder / "k8s.io" / its_id / "config.json", containerd_config() | padding)


def put(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(".new")
    new.write_text(json.dumps(document))
    new.rename(path)


def measure(runtime: str, folder: Path, containers: int, rounds: int) -> dict[str, float]:
    """Everything about one runtime; in a process of its own, for the memory."""
    from container_oomkill.identity.discovery import ContainerDiscovery
    from container_oomkill.identity.resolver import Resolver
    from container_oomkill.identity.runtimes.sources import default_sources
    from container_oomkill.identity.store import CAPACITY

    none = str(folder / "none")
    folders = {each: [str(folder / each) if each == runtime else none] for each in RUNTIMES}

    def watcher() -> ContainerDiscovery:
        sources = default_sources(
            docker_folders=folders["docker"],
            containerd_folders=folders["containerd"],
            crio_folders=[none],
            podman_folders=folders["podman"],
            users=None,
        )
        return ContainerDiscovery(sources)

    watcher().refresh()
    before = rss()
    (folder / runtime).mkdir()
    figures: dict[str, float] = {}
    with watcher() as watching:
        time.sleep(0.2)
        spent = time.thread_time()
        cpu, begun = time.process_time(), time.perf_counter()
        start(runtime, folder / runtime, range(containers))
        # Beyond what is remembered, a container's state is read at its kill.
        while len(watching.store) < min(containers, CAPACITY):
            time.sleep(0.001)
        figures["starts_seconds"] = time.perf_counter() - begun
        ours = time.process_time() - cpu - (time.thread_time() - spent)
        figures["learn_us"] = ours / containers * 1e6
        figures["memory_kib"] = (rss() - before) / 1024
        resolver = Resolver(watching)
        figures["known_us"] = each_us(resolver, runtime, range(containers), rounds)
        idle = time.process_time()
        time.sleep(2)
        figures["idle_us_per_s"] = (time.process_time() - idle) / 2 * 1e6
    times = []
    for number in range(min(rounds, containers)):
        fresh = watcher()  # has not looked yet
        times.append(each_us(Resolver(fresh), runtime, range(number, number + 1), 1))
    figures["unknown_us"] = statistics.median(times)
    whole = watcher()
    begun = time.thread_time()
    whole.refresh()
    figures["first_look_ms"] = (time.thread_time() - begun) * 1e3
    return figures


def each_us(resolver: Any, runtime: str, numbers: range, rounds: int) -> float:
    """Microseconds of CPU time to name one container: the median of rounds over all of them."""
    resolve: Callable[[str], Any] = resolver.container
    paths = [cgroup(runtime, number) for number in numbers]
    taken = []
    for _ in range(rounds):
        begun = time.thread_time()
        for path in paths:
            assert resolve(path).name
        taken.append((time.thread_time() - begun) / len(paths) * 1e6)
    return statistics.median(taken)


def rss() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


COLUMNS = {
    "known_us": ("a kill, known", "us"),
    "unknown_us": ("a kill, not yet", "us"),
    "memory_kib": ("memory", "KiB"),
    "learn_us": ("learn a start", "us"),
    "starts_seconds": ("all starts, wall", "s"),
    "first_look_ms": ("first look", "ms"),
    "idle_us_per_s": ("idle CPU", "us/s"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.names")
    parser.add_argument("--containers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--measure", choices=RUNTIMES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.folder, args.containers, args.rounds)))
        return 0
    print(f"\nnames of containers, {args.containers} known\n")
    print(f"{'':12}" + "".join(f"{title:>18}" for title, _ in COLUMNS.values()))
    for runtime in RUNTIMES:
        folder = tempfile.mkdtemp(prefix="oomkill-names-")
        command = [sys.executable, "-m", "bench.names", "--measure", runtime, "--folder", folder]
        command += [f"--containers={args.containers}", f"--rounds={args.rounds}"]
        try:
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        finally:
            shutil.rmtree(folder)
        figures = json.loads(output)
        cells = (f"{figures[key]:,.1f} {unit}" for key, (_, unit) in COLUMNS.items())
        print(f"{runtime:12}" + "".join(f"{cell:>18}" for cell in cells))
    print(
        "\nknown: learned at its start; not yet: read from its state at the kill."
        "\nlearn: CPU time of ours for each start; Podman's list is written once, with all of them."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
