# SPDX-License-Identifier: Apache-2.0
"""Writes docs/benchmarks.md and its pictures from docs/benchmarks.json.

python -m bench.report
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from . import lines, ratios_page
from .peers import FLOOR

DOCS = Path(__file__).parents[1] / "docs"
NUMBERS = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"
PICTURE = DOCS / "images" / "benchmarks.svg"
LINES = DOCS / "images" / "benchmarks-growth.svg"
OBSERVATIONS = Path(__file__).with_name("remarks.md")
PROBE, EXPORTER = "probe, fentry", "exporter, fentry"
MIB = 1 << 20

Tools = dict[str, dict[str, Any]]


def page(measured: dict[str, Any]) -> str:
    """The whole of docs/benchmarks.md."""
    guest, tools = measured["guest"], measured["guest"]["tools"]
    effort = guest["effort"]
    worked = {name: tool for name, tool in tools.items() if "says" in tool}
    parts = [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "<!-- Made by `python -m bench.report` from benchmarks.json and bench/remarks.md. -->",
        "# Benchmarks",
        (
            "`make bench` measures again, on your machine, and writes this page and its numbers,"
            " [benchmarks.json](benchmarks.json)."
        ),
        (
            f"Measured {measured['date']} on {measured['machine']['cpus']} CPUs"
            f" ({measured['machine']['cpu']}), Linux {measured['machine']['kernel']}, Python"
            f" {measured['machine']['python']}; load when it began"
            f" {measured['machine']['load']:.1f}. Medians; in brackets the least and the most."
        ),
        *ratios_page.section(measured),
        "## Beside other tools",
        (
            f"One guest, kernel {guest['kernel']}, 2 CPUs, **emulated: take the ratios, not the"
            f" times.** {effort['rounds']} rounds, each tool in turn, after one that is not counted"
            " (bcc: 2 rounds)."
        ),
        f"![exec to attached, and memory, by tool](images/{PICTURE.name})",
        starts(tools),
        (
            "Attached: it has said so; bpftrace and bcc, which speak before they are, and"
            " libbpf-tools: their kprobe is in the kernel's list. Disk: the packages of Debian with"
            " all they depend on, libc included; bcc's with the headers of one kernel; ours with"
            " Debian's Python."
        ),
        "## What they do once attached",
        works(worked),
        (
            "Idle: 10 s in which nothing happens. Latency: from the kernel's first word of a kill"
            f" in its log to the tool's own words, {effort['kills']} kills. Kernel time: of the"
            " tool's BPF programs, for one kill (`bpf_stats`). The storm: as fast as the kernel"
            " kills in a cgroup of 4 MiB. The group: four processes with `memory.oom.group`."
        ),
        "## What they say of a kill",
        says(worked),
        (
            "Yes: the number that the kernel's log has (the limit: that of the cgroup) is in the"
            " tool's output, in bytes, KiB or pages; the container: its id. What the peers print as"
            " pages is that limit."
        ),
        "## Not here",
        table(("tool", "why"), sorted(guest["missing"].items())),
        "## Our own speed",
        "On the machine itself, not emulated.",
        own(measured["flow"], measured["growth"]),
        "## Growth",
        f"![a line per resource](images/{LINES.name})",
        growth(measured["growth"]),
        (
            f"A kill by the processes in its cgroup, in a guest of its own with {guest['kernel']}:"
            " out_of_memory() from its call to its return, without and with our hooks, and"
            " how much of it our BPF programs run, by the kernel's own `bpf_stats`. The kernel"
            " evaluates every process there, and so does our candidate scan."
        ),
        kill_cost(measured["kill_cost"]),
        *recorder_section(measured),
        *recorder_process_section(measured),
        *node_walk_section(measured),
        *libraries_section(measured),
        OBSERVATIONS.read_text().split("-->", 1)[1].strip(),
        "## Goals",
        (
            f"Of what was measured {measured['date']}. The tables with a date of their own have"
            " theirs beside the figures."
        ),
        goals(measured),
    ]
    return "\n\n".join(parts) + "\n"


def starts(tools: Tools) -> str:
    floor = statistics.median(tools[FLOOR]["seconds"]) if FLOOR in tools else None
    rows = []
    for name, tool in by_start(tools):
        taken = statistics.median(tool["seconds"])
        ratio = f"{taken / floor:.1f} x" if floor else ""
        pss, rss = (statistics.median(tool[key]) for key in ("pss_mib", "rss_mib"))
        disk = f"{tool['disk_bytes'] / MIB:.0f} MiB"
        rows.append(
            (name, spread(tool["seconds"], "s", 2), ratio, f"{pss:.1f}", f"{rss:.1f}", disk)
        )
    return table(("", "exec to attached", "", "Pss, MiB", "Rss, MiB", "disk"), rows)


def works(tools: Tools) -> str:
    heads = (
        "",
        "idle CPU, jiffies",
        "wake-ups",
        "kill to output",
        "kernel time of a kill",
        "seen of a storm",
        "of a group",
    )
    rows = []
    for name, tool in by_start(tools):
        cost = tool.get("kernel_us_per_kill")
        rows.append(
            (
                name,
                str(tool["idle_jiffies"]),
                str(tool["idle_wakeups"]),
                spread(tool["latency_ms"], "ms", 1),
                "unknown" if cost is None else f"{cost:.0f} us",
                f"{tool['storm_seen']} of {tool['storm_killed']}",
                f"{tool['group_seen']} of {tool['group_killed']}",
            )
        )
    return table(heads, rows)


def says(tools: Tools) -> str:
    facts = ("victim", "anon", "limit", "container")
    rows = [
        (name, *("yes" if tool["says"][fact] else "**no**" for fact in facts))
        for name, tool in by_start(tools)
    ]
    return table(("", "the victim", "its anonymous memory", "the limit", "the container"), rows)


def own(flow: dict[str, Any], grown: list[dict[str, Any]]) -> str:
    many = next(each for each in grown if each["containers"] == 500)
    started = flow["start_ms"]
    rows = [
        ("a bare Python, from exec to its end", spread(started["python"], "ms", 0)),
        ("exec to attached, probe", spread(started["probe"], "ms", 0)),
        ("exec to attached, exporter", spread(started["exporter"], "ms", 0)),
        ("incidents from the ring to the metrics", f"{flow['incidents_per_second']:,.0f} a second"),
        *(
            (f"kill to served{where}, {name}", f"{found:.2f} ms, of {kills} kills")
            for where, name, found, _, kills in lateness(flow)
        ),
        ("BPF in a kill, of ten processes in its cgroup one", spread(flow["bpf_us"], "us", 1)),
        ("scrape, 500 killed containers", spread(many["scrape_ms"], "ms", 1)),
        ("Pss of what serves, no BPF loaded, idle", f"{many['idle_pss_mib']:.1f} MiB"),
        ("Pss of what serves, no BPF loaded, 500 killed containers", f"{many['pss_mib']:.1f} MiB"),
    ]
    return table(("", f"hook {flow['hook']}"), rows)


def lateness(flow: dict[str, Any]) -> Iterator[tuple[str, str, float, float, int]]:
    """Where the reader ran, which percentile, milliseconds, their goal, and of how many kills."""
    for where, late in (
        ("", flow["latency_ms"]),
        (", reader on another CPU", flow["latency_apart_ms"]),
    ):
        if late:
            yield where, "p50", statistics.median(late), 1, len(late)
            yield where, "p99", percentile(late, 99), 10, len(late)


def growth(grown: list[dict[str, Any]]) -> str:
    rows = [
        (
            f"{each['containers']:,}",
            f"{each['pss_mib']:.1f}",
            f"{statistics.median(each['scrape_ms']):.1f}",
            f"{each['scrape_bytes']:,}",
            f"{each['sink_us']:.0f}",
            f"{each['names']['learn_us']:.0f}",
            f"{each['names']['memory_kib']:,.0f}",
            f"{each['names']['known_us']:.1f}",
        )
        for each in grown
    ]
    heads = (
        "containers, all killed",
        "Pss, MiB",
        "scrape, ms",
        "its bytes",
        "taking a kill, us",
        "learning a start, us",
        "names, KiB",
        "naming a kill, us",
    )
    return table(heads, rows)


def kill_cost(rows: list[dict[str, Any]]) -> str:
    heads = ("hook", "processes", "a kill alone, us", "with us, us", "of it BPF, us", "share")
    cells = [
        (
            each["hook"],
            f"{each['processes']:,}",
            f"{each['without_us']:,.0f}",
            f"{each['kill_us']:,.0f}",
            f"{each['bpf_us']:,.1f}",
            f"{each['bpf_us'] / each['kill_us']:.2%}",
        )
        for each in rows
    ]
    return table(heads, cells)


def recorder_section(measured: dict[str, Any]) -> list[str]:
    """Natively, on the machine that drives the bench."""
    if (rows := measured.get("recorder")) is None:
        return []
    heads = (
        *("memory cgroups", "recorded", "each, ns", "longest go, us", "of a CPU"),
        *("ticks missed", "kernel memory, MiB"),
    )
    cells = [
        (
            f"{each['cgroups']:,}",
            f"{each['recorded']:,}",
            f"{each['ns_per_cgroup']:,.0f}",
            f"{each['longest_us']:,.0f}",
            f"{each['cpu_share']:.3%}",
            f"{each['missed']} of {each['missed'] + each['walks']}",
            f"{each['memory_bytes'] / MIB:.2f}",
        )
        for each in rows
    ]
    return [
        "## The flight recorder",
        (
            "Natively, a walk a second, as by default (`python -m bench.recorder`). The goals:"
            " 1 us for a cgroup, 1 ms in one go, 4 MiB for 4,096 cgroups."
        ),
        table(heads, cells),
    ]


def recorder_process_section(measured: dict[str, Any]) -> list[str]:
    """Measured apart from the rest, so with a date of its own."""
    if (found := measured.get("recorder_process")) is None:
        return []
    on, off = found["with"], found["without"]
    memory = on["private_dirty_bytes"] / off["private_dirty_bytes"]
    cells = [
        (
            "private dirty memory of a used exporter",
            f"{off['private_dirty_bytes'] / MIB:.2f} MiB",
            f"{on['private_dirty_bytes'] / MIB:.2f} MiB",
            f"{memory:.3f} x",
            "<= 1.05 x",
        ),
        (
            f"wake-ups of all its threads in {found['seconds']} s",
            f"{off['wake_ups']:.0f}",
            f"{on['wake_ups']:.0f}",
            f"{on['wake_ups'] - off['wake_ups']:+.0f}",
            "none more",
        ),
        (
            "a kill's record in the ring",
            "",
            "",
            f"+{found['record_bytes']:,} bytes",
            "<= +4,096 bytes",
        ),
    ]
    return [
        "## What the flight recorder costs the exporter",
        (
            f"Measured {found['date']}, natively; load when it began"
            f" {found['load']:.1f} (`python -m bench.recorder_process`): medians of"
            f" {found['rounds']}, with and without (`--recorder.max-cgroups 0`) side by side."
        ),
        table(("", "without", "with", "", "goal"), cells),
    ]


def node_walk_section(measured: dict[str, Any]) -> list[str]:
    """Measured apart from the rest, so with a date of its own."""
    if (found := measured.get("node_walk")) is None:
        return []
    heads = ("memory cgroups", "", "median, us", "longest, us")
    cells = [
        (
            f"{each['cgroups']:,}",
            each["form"],
            f"{each['median_us']:,.0f}",
            f"{each['longest_us']:,.0f}",
        )
        for each in found["rows"]
    ]
    return [
        "## Whose the node's memory was",
        (
            f"Measured {found['date']}, natively; load when it began {found['load']:.1f}"
            " (`python -m bench.node_walk`): how long a kill that no cgroup's limit caused is held"
            " up, under the kernel's oom_lock, while the node's counters are read and all memory"
            f" cgroups are walked through; {found['times']} times. The goal: 1 ms with 1,000. The"
            " longest are those in which the CPU had something else to do. At a cgroup's limit"
            " nothing of this runs."
        ),
        table(heads, cells),
    ]


def libraries_section(measured: dict[str, Any]) -> list[str]:
    """Measured apart from the rest, so with a date of its own."""
    if (found := measured.get("libraries")) is None:
        return []
    return [
        "## What stays by hand",
        (
            f"Measured {found['date']}, Python {found['python']}, medians of {found['rounds']};"
            f" load when it began {found['load']:.1f}"
            " (`python -m bench.libraries`): what importing each adds to a process that has the"
            " rest of the exporter. Work: CPU of one page of 500 killed containers."
        ),
        libraries(found),
    ]


def libraries(found: dict[str, Any]) -> str:
    rows = [
        (
            group["name"] if number == 0 else "",
            f"{each['name']} {each['version']}".strip(),
            f"{each['bytes'] / MIB:.1f}",
            f"{each['cpu_ms']:.0f}",
            f"{each['work_ms']:.1f}" if "work_ms" in each else "",
        )
        for group in found["groups"]
        for number, each in enumerate(group["choices"])
    ]
    heads = ("for", "by", "private dirty, MiB", "CPU of the import, ms", "work, ms")
    return table(heads, rows)


def series(measured: dict[str, Any]) -> list[lines.Series]:
    """What the picture of growth shows."""
    grown = measured["growth"]
    cost = [each for each in measured["kill_cost"] if each["hook"] == "fentry"]

    def with_containers(title: str, values: Iterable[float]) -> lines.Series:
        points = [(each["containers"], value) for each, value in zip(grown, values, strict=True)]
        return title, "killed containers", points

    return [
        with_containers("Pss of what serves, MiB", (each["pss_mib"] for each in grown)),
        with_containers("a scrape, ms", (statistics.median(each["scrape_ms"]) for each in grown)),
        with_containers("its size, KiB", (each["scrape_bytes"] / 1024 for each in grown)),
        with_containers("taking a kill, us", (each["sink_us"] for each in grown)),
        with_containers("learning a start, us", (each["names"]["learn_us"] for each in grown)),
        with_containers("naming a kill, us", (each["names"]["known_us"] for each in grown)),
        (
            "a kill in the kernel, us",
            "processes in the cgroup",
            [(each["processes"], each["without_us"]) for each in cost],
        ),
        (
            "of it BPF, us (fentry)",
            "processes in the cgroup",
            [(each["processes"], each["bpf_us"]) for each in cost],
        ),
    ]


def goals(measured: dict[str, Any]) -> str:
    """Each with the number measured, met or missed."""
    tools = measured["guest"]["tools"]
    probe, exporter = tools[PROBE], tools[EXPORTER]
    flow = measured["flow"]
    checks: list[tuple[str, float, float, str]] = [
        ("idle CPU of the probe, jiffies in 10 s", probe["idle_jiffies"], 0, "d"),
        ("idle CPU of the exporter, jiffies in 10 s", exporter["idle_jiffies"], 0, "d"),
        ("wake-ups of the exporter in 10 s", exporter["idle_wakeups"], 10, "d"),
        *(
            (f"kill to served{where}, {name}, ms", found, goal, ".2f")
            for where, name, found, goal, _ in lateness(flow)
        ),
        ("missed in a storm, probe", probe["storm_killed"] - probe["storm_seen"], 0, "d"),
        ("missed in a storm, exporter", exporter["storm_killed"] - exporter["storm_seen"], 0, "d"),
    ]
    what = f"BPF in a kill with 10 processes, {flow['hook']}, not emulated, us"
    checks.append((what, statistics.median(flow["bpf_us"]), 50, ".1f"))
    rows = [
        (name, f"<= {goal:g}", format(found, how), "met" if found <= goal else "**missed**")
        for name, found, goal, how in checks
    ]
    rate = flow["incidents_per_second"]
    rows.append(
        (
            "incidents a second, ring to metrics",
            ">= 20,000",
            f"{rate:,.0f}",
            "met" if rate >= 20_000 else "**missed**",
        )
    )
    return table(("", "goal", "measured", ""), rows)


def by_start(tools: Tools) -> list[tuple[str, dict[str, Any]]]:
    return sorted(tools.items(), key=lambda item: statistics.median(item[1]["seconds"]))


def spread(values: Sequence[float], unit: str, digits: int) -> str:
    least, most = min(values), max(values)
    middle = statistics.median(values)
    return f"{middle:.{digits}f} {unit} [{least:.{digits}f}-{most:.{digits}f}]"


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def picture(measured: dict[str, Any]) -> str:
    """Bars of time to attached and of memory, each scaled to its own longest; SVG."""
    tools = by_start(measured["guest"]["tools"])
    panels = (("exec to attached, s", "seconds", 2), ("Pss once attached, MiB", "pss_mib", 0))
    row, left, bar, gap = 24, 190, 300, 80
    width, height = left + len(panels) * (bar + gap), 50 + row * len(tools)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            ' font-family="sans-serif" font-size="13">'
        ),
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, (name, _) in enumerate(tools):
        y = 50 + row * number
        parts.append(f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{name}</text>')
    for panel, (title, key, digits) in enumerate(panels):
        x = left + panel * (bar + gap)
        middles = [statistics.median(tool[key]) for _, tool in tools]
        parts.append(f'<text x="{x}" y="30" font-weight="bold">{title}</text>')
        for number, ((name, _), middle) in enumerate(zip(tools, middles, strict=True)):
            y, length = 50 + row * number, max(1.0, bar * middle / max(middles))
            fill = "#1f6feb" if name.startswith(("probe", "exporter")) else "#8c959f"
            parts += [
                f'<rect x="{x}" y="{y}" width="{length:.1f}" height="{row - 8}" fill="{fill}"/>',
                f'<text x="{x + length + 6:.1f}" y="{y + 13}">{middle:.{digits}f}</text>',
            ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(measured: dict[str, Any]) -> None:
    NUMBERS.write_text(json.dumps(measured, indent=1) + "\n")
    PAGE.write_text(page(measured))
    PICTURE.write_text(picture(measured))
    LINES.write_text(lines.draw(series(measured)))


if __name__ == "__main__":
    write(json.loads(NUMBERS.read_text()))
