# SPDX-License-Identifier: Apache-2.0
"""Values that logfmt parsers would split."""

from __future__ import annotations

import pytest

from container_oomkill.sinks.logfmt import render

from .incidents import incident, victim


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
