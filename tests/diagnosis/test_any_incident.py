# SPDX-License-Identifier: Apache-2.0
"""Whatever numbers an incident has, and whichever it lacks: a verdict, steps, a picture."""

from __future__ import annotations

import io
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from container_oomkill.cli.show import show_incidents
from container_oomkill.diagnosis.verdict import explain, next_steps
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident.model import (
    Candidate,
    Container,
    Domain,
    Incident,
    Oom,
    Rss,
    Stat,
    Trigger,
    Victim,
)
from container_oomkill.sinks.bar import cells, find_place, parts
from container_oomkill.sinks.formats import open_sink

from ..support.incidents import incident

# Sizes that occur, those at which arithmetic breaks, and unknown.
NUMBERS = st.none() | st.integers(0, 1 << 40) | st.integers(-(1 << 63), (1 << 64) - 1)
SECONDS = st.none() | st.floats(-1e18, 1e18)
LIKE_A_VERDICT = "a: b; 7 %"
NAMES = st.none() | st.sampled_from(["", "python3", LIKE_A_VERDICT, "\x1b[31m", "漢" * 20])
PATHS = st.none() | st.sampled_from(["/", "/docker/" + "ab" * 32, "/kubepods/pod1", "…/cut"])
FLAGS = st.none() | st.booleans()
STATS = st.none() | st.builds(Stat, *[NUMBERS] * 9, FLAGS)
VICTIMS = st.builds(
    Victim,
    pid=NUMBERS,
    pid_in_container=NUMBERS,
    command=NAMES,
    cgroup=PATHS,
    cgroup_id=NUMBERS,
    usage_bytes=NUMBERS,
    limit_bytes=NUMBERS,
    stat=STATS,
    oom_score_adj=NUMBERS,
    points=NUMBERS,
    rss=st.builds(Rss, NUMBERS, NUMBERS, NUMBERS),
    swap_bytes=NUMBERS,
    pagetables_bytes=NUMBERS,
    uptime_seconds=SECONDS,
)
INCIDENTS = st.builds(
    incident,
    inferred=st.booleans(),
    message=NAMES,
    container=st.builds(Container, name=NAMES),
    domain=st.none()
    | st.builds(Domain, PATHS, NUMBERS, *[NUMBERS] * 6, swappiness=NUMBERS, stat=STATS),
    oom=st.builds(
        Oom,
        st.sampled_from([None, "none", "cpuset", "memory_policy", "memcg"]),
        NUMBERS,
        NUMBERS,
        NUMBERS,
        NUMBERS,
        FLAGS,
    ),
    trigger=st.builds(Trigger, NUMBERS, NUMBERS, NAMES, PATHS),
    victims=st.lists(VICTIMS, min_size=1, max_size=3).map(tuple),
    candidates=st.none()
    | st.lists(st.builds(Candidate, NUMBERS, NAMES, NUMBERS, NUMBERS, NUMBERS), max_size=9).map(
        tuple
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
    sizes = parts(find_place(shown))
    assert all(bytes_ > 0 for bytes_ in sizes.values())
    assert sum(cells(sizes, 91).values()) == (91 if sizes else 0)
