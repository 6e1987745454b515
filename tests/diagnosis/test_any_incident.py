# SPDX-License-Identifier: Apache-2.0
"""Whatever numbers an incident has, and whichever it lacks: a verdict, steps, a picture."""

from __future__ import annotations

import io
import re

from hypothesis import given, settings

from container_oomkill.cli.show import show_incidents
from container_oomkill.diagnosis.breakdown import find_breakdown
from container_oomkill.diagnosis.verdict import explain, next_steps
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident.model import Incident
from container_oomkill.sinks.bar import cells, sizes
from container_oomkill.sinks.formats import open_sink

from ..support.any_incident import INCIDENTS, LIKE_A_VERDICT


@settings(max_examples=300)
@given(INCIDENTS)
def test_it_is_explained_and_shown(given_one: Incident) -> None:
    shown = explain(resolve(given_one))
    assert (shown.verdict is None) is (next_steps(shown) == ())
    assert "None" not in str(shown.verdict or "")
    verdict = str(shown.verdict or "").replace(LIKE_A_VERDICT, "python3")
    for share in re.findall(r"(\d+) % \(|: (\d+) % is", verdict):
        assert 25 <= int("".join(share)) <= 100
    for output in ("text", "json", "logfmt"):
        open_sink(output, io.StringIO())(shown)
    stream = io.StringIO()
    show_incidents([shown], stream, wanted=shown.id, colour="never")
    show_incidents([shown], stream, wanted=None, colour="never")
    assert all(line.isprintable() for line in stream.getvalue().splitlines())
    breakdown = find_breakdown(shown)
    bar = {} if breakdown is None else sizes(breakdown)
    assert all(bytes_ > 0 for bytes_ in bar.values())
    assert sum(cells(bar, 91).values()) == (91 if bar else 0)
