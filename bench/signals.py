# SPDX-License-Identifier: Apache-2.0
"""What recording kills by others costs each signal, beside an empty program on its tracepoint.

    python -m bench.signals [--signals 300000] [--rounds 5]

The goal: 100 ns. A process sends itself signals that it ignores, one kind a row: the sending's CPU
time with nothing attached, with a program that returns at once, and with ours; in turn, so that
what else the machine does meets all three. Of a signal that asks for a stop ours notes the first in
each tick of the kernel; a row of its own is of those. SIGKILL has a child for each: all but the
first 16 are over what a cgroup may have records of, as in a storm.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from build import ROOT, tool
from container_oomkill import libbpf
from container_oomkill.probe.attach import attach
from container_oomkill.probe.object_file import read_object

SIGNALS = 300_000
ROUNDS = 5
KILLS = 2_000
TICKS = 200
A_TICK = 0.011  # seconds; the longest is HZ=100
EMPTY = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "Dual BSD/GPL";
SEC("raw_tp/signal_generate")
int empty(void *ctx)
{
	return 0;
}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.signals", description=__doc__)
    parser.add_argument("--signals", type=int, default=SIGNALS, help="for each row and round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = measure(args.signals, args.rounds)
    print(json.dumps(rows) if args.json else "\n".join(map(words, rows)))
    return 0


def words(row: dict[str, Any]) -> str:
    return (
        f"{row['signal']:24} {row['nothing_ns']:9,.0f} ns with nothing attached, "
        f"{row['empty_ns'] - row['nothing_ns']:+6,.0f} ns with an empty program, "
        f"{row['ours_ns'] - row['nothing_ns']:+6,.0f} ns with ours"
    )


def measure(signals: int = SIGNALS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """A row for each kind of signal; times in nanoseconds for one, the median of the rounds."""
    empty = compiled()
    settings: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
        "nothing": contextlib.nullcontext,
        "empty": lambda: attached(empty),
        "ours": ours,
    }
    rows = []
    kinds: list[tuple[str, Callable[[], float]]] = [
        ("SIGUSR1", lambda: sent(signal.SIGUSR1, signals)),
        ("SIGTERM", lambda: sent(signal.SIGTERM, signals)),
        ("SIGTERM, one in a tick", first_in_a_tick),
        ("SIGKILL", lambda: killed(KILLS)),
    ]
    for name, once in kinds:
        times: dict[str, list[float]] = {each: [] for each in settings}
        for _ in range(rounds):
            for each, setting in settings.items():
                with setting():
                    times[each].append(once())
        medians = {f"{each}_ns": statistics.median(found) for each, found in times.items()}
        rows.append({"signal": name, **medians})
    return rows


def compiled() -> bytes:
    """The empty program's object."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "empty.bpf.c", Path(folder) / "empty.bpf.o"
        source.write_text(EMPTY)
        command = [tool("clang"), "-target", "bpf", "-mcpu=v2", "-g", "-O2"]
        command += ["-D__TARGET_ARCH_x86", "-I", str(ROOT / "bpf")]
        subprocess.run([*command, "-c", str(source), "-o", str(target)], check=True)
        return target.read_bytes()


@contextlib.contextmanager
def attached(data: bytes) -> Iterator[None]:
    with libbpf.CoreTypes(None) as types, libbpf.open_object(data, "empty", types) as opened:
        opened.choose(("empty",))
        with opened.load() as loaded, loaded.attach("empty"):
            yield


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """Without the hook of OOM kills, which no signal passes."""
    with attach(read_object(), hook="raw_tracepoint", killers=True) as probe:
        assert probe.killers is not None, probe.killers_refused
        yield


@contextlib.contextmanager
def ignored(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def sent(number: signal.Signals, count: int) -> float:
    """The mean of so many, one after another."""
    us = os.getpid()
    with ignored(number):
        begin = time.thread_time_ns()
        for _ in range(count):
            os.kill(us, number)
        return (time.thread_time_ns() - begin) / count


def first_in_a_tick() -> float:
    times = []
    with ignored(signal.SIGTERM):
        for _ in range(TICKS):
            time.sleep(A_TICK)
            times.append(call(os.getpid(), signal.SIGTERM))
    return statistics.median(times)


def killed(count: int) -> float:
    times = []
    for _ in range(count):
        child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
        times.append(call(child, signal.SIGKILL))
        os.waitpid(child, 0)
    return statistics.median(times)


def call(pid: int, number: signal.Signals) -> int:
    """One; reading the clock is in the time."""
    begin = time.thread_time_ns()
    os.kill(pid, number)
    return time.thread_time_ns() - begin


if __name__ == "__main__":
    raise SystemExit(main())
