# SPDX-License-Identifier: Apache-2.0
"""The picture of what memory did before the kill, and the words that stand for it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import htpy as h
from hypothesis import example, given

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.incident.before import (
    KERNEL,
    Averages,
    Before,
    Events,
    EventsOf,
    Pressure,
    Reclaim,
    ReclaimOf,
    Recording,
    Refaults,
    RefaultsOf,
    Series,
    Stalls,
    Usage,
)
from container_oomkill.incident.model import Domain
from container_oomkill.web.page.chart import HEIGHT, WIDTH, chart

from ...support.any_incident import RECORDINGS
from ...support.befores import before
from ...support.incidents import MIB, incident, victim


def drawn(made: Before | None, **changes: Any) -> str:
    domain = Domain(cgroup="/a", usage_bytes=128 * MIB, limit_bytes=128 * MIB)
    shown = chart(explain(incident(before=made, **({"domain": domain} | changes))))
    return str(h.div[shown])


def lines(page: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'<polyline class="used" points="([^"]*)"', page)
    return [
        [(float(x), float(y)) for x, y in (at.split(",") for at in one.split())] for one in found
    ]


def test_without_a_recorder_there_is_none() -> None:
    assert drawn(None) == "<div></div>"


def test_without_a_recorder_there_may_be_pressure() -> None:
    half = Stalls(Averages(50.0, 40.4, 3.0), Averages(20.0, None, 1.0))
    page = drawn(
        Before(
            pressure=Pressure(domain=half),
            events=Events(domain=EventsOf(max=2000, high=0), victim=EventsOf(max=1, high=3)),
        )
    )
    assert "No flight recorder ran." in page
    assert (
        "In the cgroup whose limit was reached: something waited for memory 50 % of the last 10 s, "
        "40 % of the last min, 3 % of the last 5 min; everything waited 20 % of the last 10 s, "
        "1 % of the last 5 min; at its limit 2000 times since it was made."
    ) in page
    own = "at its limit 1 time since it was made; throttled over memory.high 3 times."
    assert f"own cgroup: {own}" in page
    assert "Sampled by the flight recorder" not in page
    assert "<svg" not in page


def test_reclaim_and_what_came_again() -> None:
    page = drawn(
        Before(
            reclaim=Reclaim(ReclaimOf(40.0, 12300, 21.0), ReclaimOf(0.0005, 1, None)),
            refaults=Refaults(RefaultsOf(0, 3 << 20), RefaultsOf(1 << 20, None)),
            events=Events(EventsOf(major_faults=2)),
        )
    )
    assert (
        "In the cgroup whose limit was reached: the kernel began to reclaim memory 40.0 s before, "
        "12300 times, which took its tasks 21.0 s; 3.0 MiB of page cache reclaimed and read again "
        "since it was made; 2 major faults since it was made."
    ) in page
    assert (
        "In the victim&#39;s own cgroup: the kernel began to reclaim memory 0.5 ms before, 1 time; "
        "1.0 MiB reclaimed and swapped in again since it was made."
    ) in page


def test_a_leak_climbs_and_a_spike_stands_up() -> None:
    climbing, near_the_limit = lines(drawn(before(lambda at: 20 + at * 0.036, 3000)))
    assert climbing[0][0] == 0
    assert climbing[-1][0] == WIDTH
    heights = [y for _, y in climbing]
    assert heights == sorted(heights, reverse=True)  # y goes down the page
    assert heights[0] > 0.75 * HEIGHT
    assert near_the_limit[0][1] - near_the_limit[-1][1] < 0.05 * HEIGHT
    whole, last_minute = lines(drawn(before(lambda _: 31, 3600, newest=0.8)))
    for line in (whole, last_minute):
        (_, settled), (_, killed) = line[-2:]
        assert settled - killed > 0.6 * HEIGHT
        assert len({y for _, y in line[:-1]}) == 1


def test_the_words_say_the_same() -> None:
    page = drawn(before(lambda at: 20 + at * 0.036, 3000))
    assert "Shape: <span" in page
    assert "leak</span>, 2.2 MiB/min" in page
    assert page.count("128.0 MiB at the kill; the limit was 128.0 MiB") == 2
    assert "between 22.1 MiB and 128.0 MiB" in page
    assert "each point is the most in its period" in page


def test_a_limit_that_was_lowered_is_a_step() -> None:
    half = Domain(cgroup="/a", usage_bytes=64 * MIB, limit_bytes=64 * MIB)
    page = drawn(before(lambda _: 60, 3000, limits=((3000, 128), (200, 64))), domain=half)
    assert re.search(r'<path class="limit" d="M0.0 [\d.]+H560.0V[\d.]+H600.0">', page)
    assert "it was set to 64.0 MiB 3 min 20 s before" in page


def test_a_gap_is_a_gap() -> None:
    values = tuple(None if 20 <= at < 40 else 10 * MIB for at in range(63))
    made = Recording(recorded_seconds=63.0, series=(Series(1.0, 0.5, values),))
    assert len(lines(drawn(Before(KERNEL, Usage(domain=made))))) == 2


def test_nothing_recorded() -> None:
    assert "lived for less than a sample takes" in drawn(Before(KERNEL, Usage()))


def test_the_victims_own_cgroup_has_a_picture_too() -> None:
    both = replace(before(lambda _: 60, 30).usage, victim=before(lambda _: 20, 30).usage.domain)
    page = drawn(Before(KERNEL, both), victims=(victim(usage_bytes=20 * MIB),))
    assert "of the victim&#39;s own cgroup" in page
    assert len(lines(page)) == 2


NO_TIME = Recording(
    recorded_seconds=3e8,
    series=(Series(8e-290, 0.0, (38,)), Series(4e8, 6e8, (0,))),
)


@example(NO_TIME)
@given(RECORDINGS)
def test_any_numbers(recording: Recording) -> None:
    page = drawn(Before(KERNEL, Usage(domain=recording)))
    assert "nan" not in page.lower()
    assert "style=" not in page
