# SPDX-License-Identifier: Apache-2.0
"""Values that logfmt parsers would split."""

from __future__ import annotations

import pytest

from container_oomkill.sinks.logfmt import render

from ..support.incidents import incident, victim


@pytest.mark.parametrize(
    ("command", "pair"),
    [
        ("plain-1.2/x", "victim_command=plain-1.2/x"),
        ("a=b", 'victim_command="a=b"'),
        ('a"b', 'victim_command="a\\"b"'),
        ("a\\b", 'victim_command="a\\\\b"'),
        ("é", 'victim_command="\\u00e9"'),
    ],
)
def test_what_needs_quotes_has_them(command: str, pair: str) -> None:
    assert f" {pair} " in render(incident(victims=(victim(command=command),)))


def test_candidates_are_counted_and_the_largest_is_told() -> None:
    line = render(incident())
    assert " candidates=2 candidate_pids=4702,4699 " in line
    assert " candidate_command=gunicorn candidate_rss_bytes=2202009 " in line
    assert "4699 " not in line.replace("4702,4699 ", "")
    assert "candidate" not in render(incident(candidates=None))
    assert " candidates=0" in render(incident(candidates=()))


def test_where_the_memory_was() -> None:
    assert " domain_stat_anon_bytes=130023424 " in render(incident())


def test_a_command_line() -> None:
    given = incident(victims=(victim(cmdline="app '\x1b[2J' --x=1…"),))
    assert " victim_cmdline=\"app '\\u001b[2J' --x=1\\u2026\" " in render(given)
