# SPDX-License-Identifier: Apache-2.0
"""Inside a guest: how long kills last, and how much of that the BPF programs run.

The kernel tells both: a probe of tracefs on out_of_memory(), and kernel.bpf_stats_enabled.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from container_oomkill.probe.attach import attach
from container_oomkill.probe.object_file import read_object
from tests.support.kernel.cgroups import MIB, Cgroup, cgroups
from tests.support.kernel.processes import Hog

PROCESSES = (1, 10, 100, 1_000, 5_000, 10_000)  # in the cgroup, the victim included
SECONDS_APART = (
    0.6  # the kernel logs its list with ten kills in 5 seconds; without it they are short
)
TRACEFS = Path("/sys/kernel/tracing")
EVENTS = "p:oomkill_bench/begin out_of_memory\nr:oomkill_bench/end out_of_memory\n"
EVENT = re.compile(r" (?P<seconds>\d+\.\d{6}): (?P<name>begin|end): ", re.ASCII)


def main(result: str, hog: str, kills: int, hooks: list[str]) -> None:
    Path("/proc/sys/kernel/bpf_stats_enabled").write_text("1")
    # The list of processes goes to the log, as ever, but not to a slow console.
    Path("/proc/sys/kernel/printk").write_text("1")
    rows = []
    with traced():
        for processes in PROCESSES:
            with crowd(hog, processes - 1) as cgroup:
                without = [kill_us(hog, cgroup) for _ in range(kills)]
                for hook in hooks:
                    with attach(read_object(), hook=hook):
                        measured = [kill_and_bpf_us(hog, cgroup) for _ in range(kills)]
                    rows.append(
                        {
                            "hook": hook,
                            "processes": processes,
                            "without_us": statistics.median(without),
                            "kill_us": statistics.median(kill for kill, _ in measured),
                            "bpf_us": statistics.median(bpf for _, bpf in measured),
                        }
                    )
    Path(result).write_text(json.dumps(rows))


@contextmanager
def traced() -> Iterator[None]:
    """Each call of out_of_memory() leaves two lines in the trace."""
    (TRACEFS / "kprobe_events").write_text(EVENTS)
    enable = TRACEFS / "events/oomkill_bench/enable"
    enable.write_text("1")
    yield
    enable.write_text("0")
    (TRACEFS / "kprobe_events").write_text("")


@contextmanager
def crowd(hog: str, others: int) -> Iterator[Cgroup]:
    """Give a cgroup with that many processes in it, and room for one more of 16 MiB."""
    with cgroups("/oomkill-bench") as (cgroup,):
        if not others:
            cgroup.limit(16)
            yield cgroup
            return
        started = Hog(Path(hog), cgroup, f"children {others - 1} ready wait").ready()
        cgroup.limit(int(cgroup.read("memory.current")) // MIB + 16)
        yield cgroup
        started.close()


def kill_us(hog: str, cgroup: Cgroup) -> float:
    """Have one process killed and return how long that took."""
    time.sleep(SECONDS_APART)
    (TRACEFS / "trace").write_text("")
    victim = Hog(Path(hog), cgroup, "adj 1000 anon 64")
    assert victim.was_killed()
    victim.close()
    times = {
        found["name"]: float(found["seconds"])
        for found in EVENT.finditer((TRACEFS / "trace").read_text())
    }
    return (times["end"] - times["begin"]) * 1e6


def kill_and_bpf_us(hog: str, cgroup: Cgroup) -> tuple[float, float]:
    before = bpf_ns()
    kill = kill_us(hog, cgroup)
    return kill, (bpf_ns() - before) / 1e3


def bpf_ns() -> int:
    """Return the nanoseconds that the programs this process has loaded have run so far."""
    total = 0
    for entry in Path("/proc/self/fdinfo").iterdir():
        try:
            text = entry.read_text()
        except FileNotFoundError:  # the folder's own
            continue
        if found := re.search(r"^run_time_ns:\s*(\d+)", text, re.MULTILINE):
            total += int(found[1])
    return total


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
