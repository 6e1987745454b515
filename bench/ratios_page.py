# SPDX-License-Identifier: Apache-2.0
"""The table of `bench.ratios`: each figure of both builds, their ratio, and its goal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MIB = 1 << 20


def rows(measured: dict[str, Any]) -> Iterator[tuple[str, str, str, float, float]]:
    """Yield what is measured: base, this, the ratio that counts, and its goal."""
    found = measured["found"]
    this, base = found["this"], found["base"]
    bare = measured["bare_python_bytes"]

    def against(name: str, key: str, floor: float, goal: float) -> Any:
        was, now = base[key] / floor, this[key] / floor
        return name, f"{was:.2f} x", f"{now:.2f} x", now, goal

    def ms(name: str, key: str, goal: float) -> Any:
        return name, f"{base[key]:.2f} ms", f"{this[key]:.2f} ms", this[key] / base[key], goal

    yield against(
        "exec to attached, CPU, x a C loader of the same object",
        "probe_ms",
        found["C"]["probe_ms"],
        0.6,
    )
    yield against(
        "the same, x a C loader that is given the few types",
        "probe_ms",
        found["C, few types"]["probe_ms"],
        2.5,
    )
    was, now = (each["probe_any_hook_ms"] / each["probe_ms"] for each in (base, this))
    yield "without `--hook`, x the hook named", f"{was:.2f} x", f"{now:.2f} x", now, 1.1
    yield ms("exporter, exec to serving, CPU", "exporter_ms", 0.6)
    yield ms("kill to served, p50", "served_p50_ms", 0.6)
    yield ms("kill to served, p99", "served_p99_ms", 0.6)
    if "served_apart_p50_ms" in this:  # numbers of before have none of these
        yield ms("the same, killed on another CPU, p50", "served_apart_p50_ms", 0.6)
        yield ms("the same, killed on another CPU, p99", "served_apart_p99_ms", 0.6)
    if "served_cpu_p50_ms" in this:
        yield ms("of that, CPU of the reader, p50", "served_cpu_p50_ms", 0.6)
        yield ms("of that, CPU of the reader, p99", "served_cpu_p99_ms", 0.6)
    if "group_100_us" in this:
        was, now = (each["count_us"] / each["kill_us"] for each in (base, this))
        name = "counting a kill, x all that is done with it"
        yield name, f"{was:.2f} x", f"{now:.2f} x", now, 0.1
        was, now = (each["group_10000_us"] / each["group_100_us"] for each in (base, this))
        name = "group kill, a victim of 10,000, x one of 100"
        yield name, f"{was:.2f} x", f"{now:.2f} x", now, 1.1
    was, now = (each["unchanged_scrape_ms"] / each["first_scrape_ms"] for each in (base, this))
    yield "unchanged scrape, x the first one", f"{was:.3f} x", f"{now:.3f} x", now, 0.03
    if "least_us" in this:
        ratio = this["bpf_in_a_kill_us"] / this["least_us"]
        name = "BPF in a kill, x a program that sends 40 bytes and wakes the reader"
        yield name, "", f"{ratio:.2f} x", ratio, 1.4
    yield against("private dirty memory, probe, x bare Python", "probe_bytes", bare, 2.7)
    yield against("the same, exporter, idle", "exporter_bytes", bare, 3.6)
    yield against("the same, exporter, used", "exporter_used_bytes", bare, 4.0)


def section(measured: dict[str, Any]) -> list[str]:
    """What `bench.report` puts into docs/benchmarks.md; nothing where it was not measured."""
    if (found := measured.get("ratios")) is None:
        return []
    this = found["found"]["this"]
    return [
        f"## Beside the build of {found['base']}",
        (
            f"Measured {found['date']} on this machine, Linux {found['kernel']}, hook"
            f" raw_tracepoint, Python {found['python']}; load when it ended {found['load']:.1f}"
            f" (`make bench-ratios`). Both builds and the loaders in C in turn, medians of"
            f" {found['rounds']}: CPU time; from kill to served, elapsed time; memory that is the"
            " process's alone. Ratio: this build's figure to the other's; where the figures are"
            " ratios already (x), this build's, as the goal is for that."
        ),
        table_of(found),
        (
            "The loaders in C load the same programs of the same object with libbpf, attach them,"
            " start the flight recorder and say so; the second gets the few types that ours picks"
            " out of the kernel's. Used: after a scrape as text, one in OpenMetrics and gzip, and a"
            f" page. Bare Python: {found['bare_python_bytes'] / MIB:.1f} MiB. Unchanged: 500 killed"
            " and 2,000 known containers, OpenMetrics, gzip."
        ),
        (
            f"Counted, and held by `make bench-gate`: {this['verifier_steps']:,} steps of the"
            f" verifier, flight recorder included; {this['record_bytes']:,} bytes of a record."
        ),
    ]


def table_of(measured: dict[str, Any]) -> str:
    lines = [
        f"| | {measured['base']} | this build | ratio | goal | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, was, now, ratio, goal in rows(measured):
        met = "met" if ratio <= goal else "**missed**"
        lines.append(f"| {name} | {was} | {now} | {ratio:.2f} | <= {goal:g} | {met} |")
    return "\n".join(lines)
