# SPDX-License-Identifier: Apache-2.0
"""The node's memory: pages to bytes, sums that add up, and what only /proc has."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_oomkill.errors import RecordError
from container_oomkill.incident import wire
from container_oomkill.incident.assembler import Assembler
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.model import Host, Incident, Oom
from container_oomkill.incident.node_memory import NodeMemory, with_rest
from container_oomkill.incident.proc_memory import ProcMemory
from container_oomkill.incident.wire import ffi, lib
from container_oomkill.sinks.record import from_object, to_object

from ..support import records
from ..support.incidents import incident

PAGE = 65536
HOST = Host("node", "6.12", PAGE, clock_offset_ns=0)
FIXED = wire.NODE.size
UNKNOWN = lib.OOMKILL_UNKNOWN
KIB = 1 << 10
MEMINFO = """MemTotal:        1000 kB
MemFree:          100 kB
Buffers:           10 kB
Cached:           190 kB
SwapCached:         5 kB
AnonPages:        300 kB
Shmem:             20 kB
SReclaimable:      40 kB
SUnreclaim:        60 kB
KernelStack:       16 kB
PageTables:         9 kB
SecPageTables:      1 kB
VmallocUsed:       36 kB
Percpu:             4 kB
SwapTotal:       2048 kB
SwapFree:        1024 kB
HugePages_Total:     2
Hugetlb:          200 kB
"""


def record(strings: bytes = b"", **fields: Any) -> bytes:
    made = ffi.new("struct oomkill_node *")
    for name, value in fields.items():
        setattr(made, name, value)
    head = {"kind": lib.OOMKILL_NODE, "size": FIXED + len(strings), "incident": 1}
    made.header = records.header(**head)[0]
    return bytes(ffi.buffer(made))[:FIXED] + strings


def zone(name: bytes, **pages: int) -> dict[str, Any]:
    return {"name": name, "pagetables_pages": UNKNOWN, **pages}


def numa_node(number: int, zones: list[dict[str, Any]], **pages: int) -> dict[str, Any]:
    return {"id": number, "zones_used": len(zones), "zones": zones, **pages}


def decode(data: bytes) -> NodeMemory:
    return Decoder(HOST).node(wire.node(data))


def test_zones_and_nodes_are_added_up() -> None:
    nodes = [
        numa_node(
            0,
            [zone(b"DMA", managed_pages=10, free_pages=4), zone(b"Normal", managed_pages=90)],
            anon_pages=20,
            file_pages=30,
            swapcached_pages=2,
            lru_pages=51,
            kernel_stack_kib=64,
            pagetables_pages=3,
            secondary_pagetables_pages=1,
            vmalloc_pages=UNKNOWN,
        ),
        numa_node(2, [zone(b"Normal", managed_pages=100, free_pages=6)], anon_pages=5),
    ]
    found = decode(record(nodes_used=2, nodes=nodes, allowed_nodes=0b100, charged_pages=7))
    assert found.total_bytes == 200 * PAGE
    assert found.free_bytes == 10 * PAGE
    assert found.anon_bytes == 25 * PAGE
    assert found.file_bytes == 28 * PAGE
    assert found.unmapped_bytes == 3 * PAGE
    assert found.kernel_stack_bytes == 64 * KIB
    assert found.pagetables_bytes == 4 * PAGE
    assert found.vmalloc_bytes is None
    assert found.nodes is not None
    assert [(node.number, node.allowed) for node in found.nodes] == [(0, False), (2, True)]
    assert [each.name for each in found.nodes[0].zones] == ["DMA", "Normal"]


def test_rows_are_the_largest_first_and_have_their_path_and_growth() -> None:
    strings = b"app\0kubepods\0"
    shares = [
        {
            "own_pages": 1,
            "usage_pages": 9,
            "minute_ago_pages": UNKNOWN,
            "limit_pages": (1 << 63) - 1,
        },
        {
            "own_pages": 4,
            "usage_pages": 5,
            "minute_ago_pages": 2,
            "hour_ago_pages": 6,
            "limit_pages": 8,
            "path_size": len(strings),
            "low_pages": 3,
            "id": 77,
        },
    ]
    found = decode(
        record(
            strings, shares_used=2, shares=shares, charged_pages=20, others_pages=3, gone_pages=1
        )
    )
    assert found.cgroups is not None
    first, second = found.cgroups
    assert (first.cgroup, first.cgroup_id) == ("/kubepods/app", 77)
    assert (first.usage_bytes, first.limit_bytes) == (4 * PAGE, 8 * PAGE)
    assert (first.grew_minute_bytes, first.grew_hour_bytes) == (3 * PAGE, -PAGE)
    assert first.low_bytes == 3 * PAGE
    assert (second.limit_bytes, second.grew_minute_bytes) == (None, None)
    assert (found.other_cgroups_bytes, found.gone_bytes) == (3 * PAGE, PAGE)


@pytest.mark.parametrize(
    ("kernel", "charged", "gone"),
    [
        (2, 17, 4),  # 10 of processes, 5 of files, 2 of the kernel: 3 of the removed are no more
        (9, 20, 7),  # there is as much
        (UNKNOWN, 20, 7),
    ],
)
def test_what_removed_cgroups_had_and_is_freed_is_not_theirs(
    kernel: int, charged: int, gone: int
) -> None:
    nodes = [numa_node(0, [zone(b"Normal")], anon_pages=10, file_pages=5)]
    found = decode(
        record(
            nodes=nodes,
            nodes_used=1,
            charged_pages=20,
            charged_kernel_pages=kernel,
            gone_pages=7,
        )
    )
    assert (found.charged_bytes, found.gone_bytes) == (charged * PAGE, gone * PAGE)


def test_what_the_walk_did_not_reach_is_among_the_others() -> None:
    cut = lib.OOMKILL_NODE_WALK_CUT
    shares = [{"own_pages": 4}]
    found = decode(
        record(flags=cut, shares_used=1, shares=shares, charged_pages=20, gone_pages=1, others=7)
    )
    assert found.other_cgroups_bytes == 15 * PAGE
    assert found.other_cgroups is None
    assert found.approximate


def test_without_a_memory_controller_nobody_is_charged() -> None:
    found = decode(record(charged_pages=UNKNOWN))
    assert (found.cgroups, found.gone_bytes, found.other_cgroups_bytes) == (None, None, None)


def test_a_path_that_is_not_in_the_record_is_refused() -> None:
    with pytest.raises(RecordError, match="in 2 bytes"):
        decode(record(b"a\0", shares_used=1, shares=[{"path_offset": 1, "path_size": 9}]))
    with pytest.raises(RecordError, match="not terminated"):
        decode(record(b"ab", shares_used=1, shares=[{"path_size": 2}]))
    with pytest.raises(RecordError, match="expected at least"):
        wire.node(record()[:-1])


@settings(max_examples=20)
@given(st.integers(0, 1 << 32), st.integers(0, 64))
def test_any_bytes_are_decoded_or_refused(seed: int, more: int) -> None:
    """Whatever is decoded can be written and read again."""
    try:
        found = with_rest(decode(Random(seed).randbytes(FIXED + more)))
    except RecordError:
        return
    assert from_object(to_object(the_nodes(found))).node_memory == found


def test_it_is_a_part_of_its_incident_alone() -> None:
    assembler = Assembler(Decoder(HOST), lambda: 0.0, lambda: None, None)
    assert list(assembler.take(record(charged_pages=9), 1)) == []
    victim = records.victim()
    ((found, _),) = assembler.take(victim, 2)
    assert found.node_memory is not None
    assert found.node_memory.charged_bytes == 9 * PAGE


def the_nodes(memory: NodeMemory | None) -> Incident:
    return incident(boot_ns=10, domain=None, oom=Oom(constraint="none"), node_memory=memory)


@pytest.fixture
def reader(tmp_path: Path) -> ProcMemory:
    file = tmp_path / "meminfo"
    file.write_text(MEMINFO)
    return ProcMemory(str(file), boot_ns=lambda: 1_000_010)


def test_all_of_it_is_from_proc_where_the_kernel_side_had_none(reader: ProcMemory) -> None:
    found = reader(the_nodes(None)).node_memory
    assert found is not None
    assert found.source == "proc"
    assert found.file_bytes == 200 * KIB
    assert found.pagetables_bytes == 10 * KIB
    assert found.hugetlb_bytes == 200 * KIB
    assert found.swap_free_bytes == 1024 * KIB
    assert found.zswap_bytes is None
    assert found.read_after_seconds == 0.001
    # 1000 - 100 free - 500 of processes - 100 slab - 36 vmalloc - 10 - 4 - 200 huge pages
    assert found.unaccounted_bytes == 50 * KIB


def test_of_what_the_kernel_side_had_nothing_is_changed(reader: ProcMemory) -> None:
    found = reader(the_nodes(NodeMemory(source="kernel", free_bytes=7, zswap_bytes=3))).node_memory
    assert found is not None
    assert (found.source, found.free_bytes, found.zswap_bytes) == ("kernel", 7, 3)
    assert (found.total_bytes, found.percpu_bytes) == (None, 4 * KIB)


def test_nothing_is_read_for_a_cgroups_limit_or_late(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text(MEMINFO)
    assert ProcMemory(str(file))(incident()).node_memory is None
    late = ProcMemory(str(file), boot_ns=lambda: 3_000_000_000)
    assert late(the_nodes(None)).node_memory is None


def test_what_changes_little_is_read_later_too(tmp_path: Path) -> None:
    """On a node without memory it may take seconds until we run."""
    file = tmp_path / "meminfo"
    file.write_text(MEMINFO)
    memory = NodeMemory(source="kernel", free_bytes=7)
    found = ProcMemory(str(file), boot_ns=lambda: 9_000_000_010)(the_nodes(memory)).node_memory
    assert found is not None
    assert (found.swap_total_bytes, found.read_after_seconds) == (2048 * KIB, 9.0)
    gone = ProcMemory(str(file), boot_ns=lambda: 31_000_000_010)(the_nodes(memory))
    assert gone.node_memory == memory


def test_a_file_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    reader = ProcMemory(str(tmp_path / "none"), boot_ns=lambda: 11)
    assert reader(the_nodes(None)).node_memory is None
    assert reader(the_nodes(NodeMemory(source="kernel"))).node_memory == NodeMemory(source="kernel")
