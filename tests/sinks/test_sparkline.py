# SPDX-License-Identifier: Apache-2.0
"""What memory did before the kill, in a line of characters: a leak and a spike look different."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given

from container_oomkill.incident.before import KERNEL, Before, Recording, Series, Usage
from container_oomkill.incident.model import Domain, Incident
from container_oomkill.sinks.sparkline import NOTHING, shows_levels, sparklines
from container_oomkill.sinks.terminal import TerminalView
from container_oomkill.sinks.text import Text

from ..support.any_incident import RECORDINGS
from ..support.befores import before
from ..support.incidents import MIB, incident

DOMAIN = Domain(cgroup="/a", usage_bytes=128 * MIB, limit_bytes=128 * MIB)


def killed(made: Before | None) -> Incident:
    return incident(before=made, domain=DOMAIN)


def test_a_leak_climbs() -> None:
    whole, minute = sparklines(killed(before(lambda at: 20 + at * 0.036, 3000)), 60)
    drawn, _, words = whole.partition("  ")
    assert words == "50 min 0 s, up to 128.0 MiB"
    assert list(drawn) == sorted(drawn)
    assert set(drawn) == set("▂▃▄▅▆▇█")
    assert set(minute.partition("  ")[0]) <= {"▇", "█"}


@pytest.mark.parametrize("seconds", [95, 120, 150, 200, 3700, 4000, 5500])
def test_no_hole_where_a_coarser_series_ends_and_a_finer_one_begins(seconds: int) -> None:
    """Of a growth the largest of a minute is in its last second, which the finest samples have."""
    made = before(lambda at: 20 + at * 107 / seconds, seconds)
    whole = sparklines(killed(made), 90)[0]
    drawn = whole.partition("  ")[0].lstrip(NOTHING)
    assert NOTHING not in drawn
    assert list(drawn) == sorted(drawn)


def test_a_spike_stands_up() -> None:
    for line in sparklines(killed(before(lambda _: 31, 3600, newest=0.8)), 60):
        drawn = line.partition("  ")[0]
        assert set(drawn[:-2]) == {"▂"}
        assert drawn[-1] == "█"
        assert len(line) <= 60


def test_plain_characters_and_gaps() -> None:
    values = tuple(None if 20 <= at < 40 else 120 * MIB for at in range(63))
    made = Recording(recorded_seconds=63.0, series=(Series(1.0, 0.5, values),))
    (line,) = sparklines(killed(Before(KERNEL, Usage(domain=made))), 90, blocks=False)
    assert line.startswith("@@@")
    assert "@??" in line
    assert not shows_levels(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert shows_levels(io.StringIO())


def test_without_a_recorder_there_is_none() -> None:
    assert sparklines(killed(None), 60) == []
    assert sparklines(killed(Before(KERNEL, Usage())), 60) == []


def test_text_and_show_have_it() -> None:
    shown = killed(before(lambda _: 31, 600))
    out = io.StringIO()
    Text(out)(shown)
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert sum("▂▂▂▂" in line for line in lines) == 2
    view = TerminalView(80, blocks=False, colour=False)
    assert sum("====" in line or "...." in line for line in view.one(shown)) >= 2


@given(RECORDINGS)
def test_any_numbers(recording: Recording) -> None:
    made = replace(before(lambda _: 31, 600), usage=Usage(domain=recording))
    for line in sparklines(killed(made), 80):
        assert len(line) <= 120
