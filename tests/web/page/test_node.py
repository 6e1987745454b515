# SPDX-License-Identifier: Apache-2.0
"""The page's section on the node: its bar, who held it, and the same in words."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

from hypothesis import given, settings

from container_oomkill.incident.model import Container
from container_oomkill.incident.node_memory import NodeMemory, Share
from container_oomkill.web.page.node import node

from ...support.any_incident import INCIDENTS
from ...support.incidents import HOSTILE, MIB, incident, node_wide


def words(nodes: object) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", str(nodes))).split())


def test_it_has_who_held_the_node_and_what_is_nobodys() -> None:
    shown = words(node(node_wide()))
    assert "shop/db-0/db" in shown
    assert (
        "600.0 MiB 60 %, request 256.0 MiB, limit 800.0 MiB, oom_score_adj -997,"
        " +200.0 MiB in the last minute"
    ) in shown
    assert "kubelet.service host 100.0 MiB 10 %" in shown
    assert "killed 80.0 MiB 8 %" in shown
    assert "7 others 30.0 MiB 3 %" in shown
    assert "cgroups that were removed 40.0 MiB 4 %" in shown
    assert "charged to no cgroup 130.0 MiB 13 %" in shown
    assert "node 1, not allowed to who asked 15.0 MiB free of 500.0 MiB" in shown
    assert "anonymous: heap, stacks 700.0 MiB 70 %" in shown
    assert "in no counter: drivers, packet rings, DMA 70.0 MiB 7 %" in shown
    assert "all 1000.0 MiB" in shown  # it has no limit


def test_a_bar_has_words_that_say_the_same() -> None:
    shown = str(node(node_wide()))
    assert shown.count("<svg") == shown.count('aria-hidden="true"')
    for part in re.findall(r'width="([0-9.]+)"', shown):
        assert 0 <= float(part) <= 1000


def test_there_is_none_for_a_cgroups_limit() -> None:
    assert node(incident()) is None
    assert node(node_wide(node_memory=NodeMemory(source="kernel"))) is None


def test_what_is_missing_is_said() -> None:
    memory = node_wide().node_memory
    assert memory is not None
    late = replace(memory, source="proc", approximate=True, other_cgroups=None)
    shown = words(node(node_wide(node_memory=late)))
    assert "Read from /proc/meminfo after the kill" in shown
    assert shown.count("Approximate") == 1
    assert "charged but belongs to no kind" not in shown
    assert "too many cgroups" in shown
    assert "other cgroups 30.0 MiB" in shown


def test_names_are_harmless() -> None:
    memory = node_wide().node_memory
    assert memory is not None
    rows = (Share(cgroup="/x", usage_bytes=MIB, container=Container(name=HOSTILE)),)
    assert "<script>" not in str(node(node_wide(node_memory=replace(memory, cgroups=rows))))


@settings(max_examples=50)
@given(INCIDENTS)
def test_any_numbers_can_be_drawn(given: object) -> None:
    shown = str(node(given) or "")  # type: ignore[arg-type]
    for part in re.findall(r'width="([^"]*)"', shown):
        assert 0 <= float(part) <= 1000
