# SPDX-License-Identifier: Apache-2.0
"""Inside a guest: the same work for every tool in turn.

    python -m bench.work PLAN RESULT

Both are JSON: the plan as bench.__main__ makes it, the result by tool.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.kernel.cgroups import Cgroup, cgroups
from tests.support.kernel.kernel_log import KernelLog
from tests.support.kernel.processes import Hog

from .tool import Tool

CONTAINER = "c0ffee" + "ab" * 29
SLOW_ROUNDS = 2
SETTLE_SECONDS = 2.0  # without CPU time, after what is imported last
SETTLE_WITHIN_SECONDS = 60
IDLE_SECONDS = 10
REPORT_SECONDS = 0.6  # the kernel reports ten OOMs in 5 s, and of more only who was killed
LIMIT_MIB = 17  # in no unit a number that stands in the output anyway
STORM_MIB = 4
FIRST_PID = 3_000_000  # so that no other number in the output is one
GROUP = 4
PAGE = os.sysconf("SC_PAGE_SIZE")
CPUS = os.sysconf("SC_NPROCESSORS_CONF")
# From 6.2 on the log has the fast count of a per-CPU counter: percpu_counter_batch pages a CPU off.
COUNT_ERROR = max(32, 2 * CPUS) * CPUS * PAGE


def main(plan_path: str, result_path: str) -> None:
    plan = json.loads(Path(plan_path).read_text())
    prepare(plan["headers"])
    result: dict[str, dict[str, Any]] = {
        tool["name"]: {"seconds": [], "pss_mib": [], "rss_mib": []} for tool in plan["tools"]
    }
    tools = {tool["name"]: tool for tool in plan["tools"]}
    for number in range(plan["rounds"] + 1):
        for name, tool in list(tools.items()):
            if tool["slow"] and number > SLOW_ROUNDS:
                continue
            say(f"round {number}: {name}")
            try:  # the first round warms the caches
                attach(tool, result[name] if number else None)
            except (OSError, TimeoutError) as error:
                result[name]["failed"] = str(error)
                del tools[name]
    for name, tool in tools.items():
        if tool["works"]:
            say(f"work: {name}")
            try:
                with Tool(tool["argv"], tool["sign"]) as running:
                    result[name] |= work(running, plan)
            except (AssertionError, LookupError, OSError, TimeoutError) as error:
                result[name]["failed"] = f"{type(error).__name__}: {error}"
    Path(result_path).write_text(json.dumps(result))


def prepare(headers: str | None) -> None:
    """What bcc needs to compile for this kernel; pids that are like no other number."""
    Path("/proc/sys/kernel/bpf_stats_enabled").write_text("1")
    Path("/proc/sys/kernel/pid_max").write_text("4194304")
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(FIRST_PID))
    if headers is None:
        return
    release = os.uname().release
    for folder in Path(headers, "usr/src").iterdir():
        Path("/usr/src", folder.name).symlink_to(folder)
    modules = Path("/lib/modules", release)
    for name in ("build", "source"):
        if not (modules / name).exists():
            target = Path(headers, "usr/lib/modules", release, name).readlink()
            (modules / name).symlink_to(Path("/usr/src", target.name))


def say(words: str) -> None:
    print(f"{time.monotonic():7.1f} {words}", flush=True)


def attach(tool: dict[str, Any], figures: dict[str, list[float]] | None) -> None:
    with Tool(tool["argv"], tool["sign"]) as running:
        time.sleep(1)
        if figures is not None:
            figures["seconds"].append(running.seconds)
            figures["pss_mib"].append(running.memory_mib("Pss"))
            figures["rss_mib"].append(running.memory_mib("Rss"))


def work(tool: Tool, plan: dict[str, Any]) -> dict[str, Any]:
    """All that is asked of a tool once it is attached."""
    settle(tool)
    jiffies, wakeups = tool.jiffies(), tool.wakeups()
    time.sleep(IDLE_SECONDS)
    figures: dict[str, Any] = {
        "idle_jiffies": tool.jiffies() - jiffies,
        "idle_wakeups": tool.wakeups() - wakeups,
        "idle_pss_mib": tool.memory_mib("Pss"),
    }
    with cgroups("/docker", f"/docker/{CONTAINER}") as (_, cgroup), KernelLog() as log:
        cgroup.limit(LIMIT_MIB)
        figures["says"] = one_kill(tool, cgroup, log, Path(plan["hog"]))
        before = tool.kernel_ns()
        figures["latency_ms"] = latencies(tool, cgroup, Path(plan["hog"]), plan["kills"])
        after = tool.kernel_ns()
        if before is not None and after is not None:
            figures["kernel_us_per_kill"] = (after - before) / plan["kills"] / 1e3
        figures["group_seen"] = group(tool, cgroup, Path(plan["hog"]))
        figures["group_killed"] = GROUP
        figures["storm_seen"] = storm(tool, cgroup, Path(plan["killer"]), plan["storm"])
        figures["storm_killed"] = plan["storm"]
    return figures


def settle(tool: Tool) -> None:
    """Wait until a tool has nothing left to do; one that never rests is measured as it is."""
    deadline = time.monotonic() + SETTLE_WITHIN_SECONDS
    before = -1
    while tool.jiffies() != before and time.monotonic() < deadline:
        before = tool.jiffies()
        time.sleep(SETTLE_SECONDS)


def one_kill(tool: Tool, cgroup: Cgroup, log: KernelLog, hog: Path) -> dict[str, bool]:
    """Whether the tool's own output has what the kernel's log says, in whatever unit."""
    since = tool.mark()
    process = Hog(hog, cgroup, "shmem 6 anon 24")  # so that anonymous memory is not all there is
    assert process.was_killed()
    process.close()
    killed = log.killed(process.pid)
    tool.names([str(process.pid)], since, 10)
    time.sleep(0.5)  # for the rest of its words
    text = tool.text(since)
    return {
        "victim": has(text, str(killed.tid)),
        "anon": any(
            abs(int(number) * unit - killed.anon) <= COUNT_ERROR
            for number in re.findall(r"(?<![\w.])\d+(?![\w.])", text)
            for unit in (1, 1024, PAGE)
        ),
        "limit": any(has(text, number) for number in in_units(LIMIT_MIB << 20)),
        "container": CONTAINER[:12] in text,
    }


def has(text: str, number: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(number)}(?![\w.])", text) is not None


def in_units(size: int) -> set[str]:
    """The number in bytes, KiB and pages."""
    return {str(size), str(size >> 10), str(size // PAGE)}


def latencies(tool: Tool, cgroup: Cgroup, hog: Path, kills: int) -> list[float]:
    """Milliseconds from the kernel's first word of a kill to the tool's output of it."""
    late = []
    for _ in range(kills):
        time.sleep(REPORT_SECONDS)
        log = os.open("/dev/kmsg", os.O_RDWR | os.O_NONBLOCK)
        os.lseek(log, 0, os.SEEK_END)
        marked = time.monotonic()  # the log has a clock of its own
        os.write(log, b"bench")
        since = tool.mark()
        process = Hog(hog, cgroup, "anon 24")
        assert process.was_killed()
        process.close()
        out = tool.said(str(process.pid), since, 10)
        stamps = {}
        for line in log_lines(log):
            for word in ("bench", "invoked oom-killer"):
                if word in line:
                    stamps[word] = int(line.split(",")[2]) / 1e6
        os.close(log)
        invoked = stamps["invoked oom-killer"] - stamps["bench"] + marked
        late.append((out - invoked) * 1e3)
    return late


def log_lines(log: int) -> list[str]:
    lines = []
    while True:
        try:
            lines.append(os.read(log, 8192).decode(errors="replace"))
        except BlockingIOError:
            return lines


def group(tool: Tool, cgroup: Cgroup, hog: Path) -> int:
    """Of four processes that are killed together, how many the tool tells of."""
    cgroup.write("memory.oom.group", "1")
    since = tool.mark()
    waiting = [Hog(hog, cgroup, "anon 2 ready wait").ready() for _ in range(GROUP - 1)]
    killed = [*waiting, Hog(hog, cgroup, "anon 24")]
    for process in killed:
        assert process.was_killed()
        process.close()
    seen = tool.names([str(process.pid) for process in killed], since, 5)
    cgroup.write("memory.oom.group", "0")
    return seen


def storm(tool: Tool, cgroup: Cgroup, killer: Path, kills: int) -> int:
    """Of kills as fast as the kernel makes them, how many the tool tells of."""
    cgroup.limit(STORM_MIB)
    since = tool.mark()
    command = [str(killer), f"{cgroup.folder}/cgroup.procs", str(kills)]
    pids = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert len(pids) == kills
    return tool.names(pids, since, 20)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
