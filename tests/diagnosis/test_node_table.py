# SPDX-License-Identifier: Apache-2.0
"""The table of whose the node's memory was adds up to what is in use."""

from __future__ import annotations

from dataclasses import replace

from container_oomkill.diagnosis.breakdown import of_node
from container_oomkill.diagnosis.node_table import node_table

from ..support.incidents import MIB, incident, node_wide


def test_every_page_in_use_is_in_one_row() -> None:
    table = node_table(node_wide())
    assert sum(row.held for row in table) == 980 * MIB
    assert [row.kind for row in table] == [
        *("container", "host", "container", "others", "gone", "uncharged")
    ]
    assert [row.name for row in table if row.killed] == ["shop/cart-7d9f4/app"]


def test_the_kinds_add_up_to_the_same() -> None:
    where = of_node(node_wide().node_memory)
    assert where is not None
    assert where.used_bytes == 980 * MIB
    assert where.free_bytes == 20 * MIB
    assert where.bytes_of("vmalloc") == 10 * MIB  # stacks are told by themselves
    assert where.bytes_of("rest") == 70 * MIB


def test_without_a_walk_there_is_no_table() -> None:
    memory = node_wide().node_memory
    assert memory is not None
    assert node_table(node_wide(node_memory=replace(memory, cgroups=None))) == []
    assert node_table(incident()) == []
    assert of_node(None) is None
