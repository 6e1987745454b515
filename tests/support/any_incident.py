# SPDX-License-Identifier: Apache-2.0
"""Incidents with any numbers, and any of them unknown: what Hypothesis draws from."""

from __future__ import annotations

from hypothesis import strategies as st

from container_oomkill.incident.before import Limit, Recording, Series
from container_oomkill.incident.model import (
    Candidate,
    Child,
    Container,
    Domain,
    Oom,
    Rss,
    Stat,
    Trigger,
    Unlisted,
    UnlistedIn,
    Victim,
)
from container_oomkill.incident.node_memory import NodeMemory, NumaNode, Share, Zone

from .incidents import incident

# Sizes that occur, those at which arithmetic breaks, and unknown.
NUMBERS = st.none() | st.integers(0, 1 << 40) | st.integers(-(1 << 63), (1 << 64) - 1)
SECONDS = st.none() | st.floats(-1e18, 1e18)
LIKE_A_VERDICT = "a: b; 7 %"
NAMES = st.none() | st.sampled_from(["", "python3", LIKE_A_VERDICT, "\x1b[31m", "漢" * 20])
POD = "/kubepods/podf3c2e1d0-aaaa-4bbb-8ccc-0123456789ab"
PATHS = st.none() | st.sampled_from(
    ["/", "/docker/" + "ab" * 32, "/kubepods", POD, f"{POD}/{'ab' * 32}", "…/cut", "/a/…/cut"]
)
FLAGS = st.none() | st.booleans()
STATS = st.none() | st.builds(Stat, *[NUMBERS] * 16, FLAGS)
SIZES = st.none() | st.integers(0, 1 << 50)
BEFORE_SECONDS = st.floats(0, 1e9)


RECORDINGS = st.builds(
    Recording,
    st.none() | BEFORE_SECONDS,
    st.none() | st.booleans(),
    st.none() | BEFORE_SECONDS,
    st.lists(
        st.builds(Series, BEFORE_SECONDS, BEFORE_SECONDS, st.lists(SIZES, max_size=63).map(tuple)),
        max_size=3,
    ).map(tuple),
    st.lists(st.builds(Limit, BEFORE_SECONDS, SIZES), max_size=8).map(tuple),
)
CONTAINERS = st.builds(Container, name=NAMES | st.just("POD"))
CHILDREN = st.none() | st.lists(
    st.builds(Child, PATHS, NUMBERS, NUMBERS, NUMBERS, CONTAINERS), max_size=3
).map(tuple)
SHARES = st.builds(
    Share,
    cgroup=PATHS,
    cgroup_id=NUMBERS,
    usage_bytes=NUMBERS,
    limit_bytes=NUMBERS,
    grew_minute_bytes=NUMBERS,
    grew_hour_bytes=NUMBERS,
    container=st.builds(Container, name=NAMES | st.just("POD"), memory_request_bytes=NUMBERS),
)
ZONES = st.builds(Zone, NAMES, FLAGS, *[NUMBERS] * 10)
NUMA_NODES = st.builds(
    NumaNode, NUMBERS, FLAGS, *[NUMBERS] * 7, st.lists(ZONES, max_size=2).map(tuple)
)
NODE_MEMORIES = st.none() | st.builds(
    NodeMemory,
    st.sampled_from([None, "kernel", "proc"]),
    *[NUMBERS] * 24,
    cgroups=st.none() | st.lists(SHARES, max_size=3).map(tuple),
    other_cgroups_bytes=NUMBERS,
    other_cgroups=NUMBERS,
    gone_bytes=NUMBERS,
    nodes=st.none() | st.lists(NUMA_NODES, max_size=2).map(tuple),
    approximate=FLAGS,
)
VICTIMS = st.builds(
    Victim,
    pid=NUMBERS,
    pid_in_container=NUMBERS,
    from_outside=FLAGS,
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
UNLISTED = st.none() | st.builds(
    Unlisted,
    st.integers(-1, 1 << 40),
    st.builds(Rss, NUMBERS, NUMBERS, NUMBERS),
    NUMBERS,
    NUMBERS,
    st.lists(st.builds(UnlistedIn, NUMBERS, st.integers(0, 9)), max_size=3).map(tuple),
)
INCIDENTS = st.builds(
    incident,
    inferred=st.booleans(),
    hook=st.sampled_from(["fentry", "raw_tracepoint"]),
    message=NAMES,
    container=st.builds(Container, name=NAMES),
    domain=st.none()
    | st.builds(
        Domain, PATHS, NUMBERS, *[NUMBERS] * 6, swappiness=NUMBERS, stat=STATS, children=CHILDREN
    ),
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
    | st.lists(st.builds(Candidate, *[NUMBERS, NAMES, *[NUMBERS] * 4], NAMES), max_size=9).map(
        tuple
    ),
    node_memory=NODE_MEMORIES,
    unlisted=UNLISTED,
)
