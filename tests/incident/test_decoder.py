# SPDX-License-Identifier: Apache-2.0
"""Bytes to incidents: units, unknowns, paths, cgroup v1; and no bytes that crash it."""

from __future__ import annotations

from typing import Any

import pytest

from container_oomkill.errors import RecordError
from container_oomkill.incident import wire
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.model import Child, Host, Incident
from container_oomkill.incident.wire import lib

from ..support import records

PAGE = 65536  # not this machine's: whatever assumes 4096 shows
UNLIMITED = ((1 << 63) - 1) // PAGE
HOST = Host("node", "6.12", PAGE, clock_offset_ns=1_700_000_000_000_000_000, swappiness=60)
LEAF_FIRST = {"domain": b"pod\0kubepods\0", "victim_memcg": b"app\0pod\0kubepods\0"}


def decode(**fields: Any) -> Incident:
    return Decoder(HOST).decode(wire.victim(records.victim(**fields)))


def test_units() -> None:
    incident = decode(
        paths=LEAF_FIRST,
        domain__usage_pages=3,
        domain__limit_pages=4,
        domain__swap_limit_pages=UNLIMITED,
        process__anon_pages=2,
        process__pgtables_bytes=77,
        process__utime_ns=1_500_000_000,
        process__start_boottime_ns=87_000_000_000,
        points=-5,
        order=-1,
    )
    (victim,) = incident.victims
    assert incident.domain is not None
    assert incident.domain.usage_bytes == 3 * PAGE
    assert incident.domain.limit_bytes == 4 * PAGE
    assert incident.domain.swap_limit_bytes is None
    assert incident.domain.swappiness == 60
    assert victim.rss.anon_bytes == 2 * PAGE
    assert victim.pagetables_bytes == 77
    assert victim.user_seconds == 1.5
    assert victim.uptime_seconds == 3.0
    assert incident.time == 1_700_000_090.0
    assert victim.started_at == 1_700_000_087.0
    assert incident.oom.points == victim.points == -5
    assert incident.oom.order == -1


@pytest.mark.parametrize(
    ("flags", "order", "inferred"),
    [
        (lib.OOMKILL_INFERRED | lib.OOMKILL_NODE_WIDE, lib.OOMKILL_UNKNOWN_S32, True),
        (lib.OOMKILL_INFERRED | lib.OOMKILL_UNTOLD, lib.OOMKILL_UNKNOWN_S32, False),
        (lib.OOMKILL_INFERRED, -1, False),
        (0, 0, False),
    ],
    ids=["node", "untold", "sysrq", "told"],
)
def test_what_was_inferred(flags: int, order: int, inferred: bool) -> None:
    assert decode(flags=flags, order=order).inferred is inferred


def test_paths_are_turned_round() -> None:
    incident = decode(paths=LEAF_FIRST)
    assert incident.domain is not None
    assert incident.domain.cgroup == "/kubepods/pod"
    assert incident.victims[0].cgroup == "/kubepods/pod/app"
    assert incident.trigger.cgroup is None


def test_the_root_cgroup_and_odd_names() -> None:
    incident = decode(paths={"victim_memcg": b"", "trigger_memcg": b"a b\xff\n\0"})
    assert incident.victims[0].cgroup == "/"
    assert incident.trigger.cgroup == "/a b\\xff\n"


def test_where_nothing_is_does_not_matter() -> None:
    incident = decode(paths={"victim_memcg": b""}, victim_memcg__path_offset=9, cmdline_offset=9)
    assert incident.victims[0].cgroup == "/"
    assert incident.victims[0].cmdline is None


def test_a_cut_path_shows_that_it_is_cut() -> None:
    incident = decode(
        paths={"victim_memcg": b"app\0pod\0"}, victim_memcg__flags=lib.OOMKILL_MEMCG_PATH_CUT
    )
    assert incident.victims[0].cgroup == "…/pod/app"


def test_unknown_is_none_and_never_zero() -> None:
    unknown = {
        "total_pages": lib.OOMKILL_UNKNOWN,
        "points": lib.OOMKILL_UNKNOWN_S64,
        "order": lib.OOMKILL_UNKNOWN_S32,
        "gfp_mask": lib.OOMKILL_UNKNOWN_U32,
        "constraint": lib.OOMKILL_UNKNOWN_U32,
        "process__oom_score_adj": lib.OOMKILL_UNKNOWN_S32,
        "process__pid": lib.OOMKILL_UNKNOWN_U32,
        "process__start_boottime_ns": lib.OOMKILL_UNKNOWN,
        "process__shmem_pages": lib.OOMKILL_UNKNOWN,
    }
    incident = decode(**unknown)
    (victim,) = incident.victims
    assert incident.domain is None
    assert incident.message is None
    oom = incident.oom
    assert (oom.total_bytes, oom.points, oom.order, oom.gfp_mask, oom.constraint) == (None,) * 5
    assert (victim.oom_score_adj, victim.pid, victim.started_at, victim.cgroup) == (None,) * 4
    assert victim.rss.shmem_bytes is None
    assert victim.vm.hiwater_rss_bytes is None
    assert victim.rss.anon_bytes == 0


def test_more_threads_than_were_summed_up() -> None:
    incident = decode(process__utime_ns=5, process__min_flt=7, flags=lib.OOMKILL_THREADS_CUT)
    assert incident.victims[0].user_seconds is None
    assert incident.victims[0].minor_faults is None
    assert decode(process__min_flt=7).victims[0].minor_faults == 7


def test_cgroup_v1_counts_memory_and_swap_together() -> None:
    fields = {
        "paths": LEAF_FIRST,
        "domain__flags": lib.OOMKILL_MEMCG_V1,
        "domain__usage_pages": 10,
        "domain__limit_pages": 16,
        "domain__swap_usage_pages": 13,
        "domain__swappiness": 7,
    }
    domain = decode(domain__swap_limit_pages=20, **fields).domain
    assert domain is not None
    assert domain.swap_usage_bytes == 3 * PAGE
    assert domain.swap_limit_bytes == 4 * PAGE
    assert domain.swappiness == 7
    assert domain.low_bytes is None
    unlimited = decode(domain__swap_limit_pages=UNLIMITED, **fields).domain
    assert unlimited is not None
    assert unlimited.swap_limit_bytes is None


def test_an_unknown_constraint_or_hook_is_not_guessed() -> None:
    incident = decode(constraint=9, head={"hook": 77})
    assert incident.oom.constraint is None
    assert incident.hook == "unknown"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "record of 0 bytes"),
        (records.end()[:-1], "record of 31 bytes"),
        (records.end(layout=lib.OOMKILL_LAYOUT + 1), "record of layout"),
        (records.end(size=33), "claims to have 33"),
        (records.victim() + b"\0", "claims to have"),
    ],
)
def test_a_broken_header_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        wire.header(data)


def test_a_short_victim_is_refused() -> None:
    with pytest.raises(RecordError, match="victim record of 100 bytes"):
        wire.victim(bytes(100))


def test_names_missing_within_a_path_are_shown() -> None:
    incident = decode(
        paths={"victim_memcg": b"leaf\0\0pod\0kubepods\0"},
        victim_memcg__flags=lib.OOMKILL_MEMCG_PATH_CUT,
    )
    assert incident.victims[0].cgroup == "/kubepods/pod/…/leaf"


def child(name: bytes, strings: bytes, **fields: int) -> Any:
    made = wire.ffi.new("struct oomkill_child *", {"limit_pages": UNLIMITED} | fields)
    made.name_offset, made.name_size = strings.index(name), len(name)
    return made[0]


def of_domain(**fields: Any) -> Incident:
    """A pod of 100 pages with two containers, of 60 and of 30."""
    strings = b"pod\0kubepods\0app\0side\0"
    children = [
        child(b"side\0", strings, id=8, usage_pages=30, limit_pages=50),
        child(b"app\0", strings, id=7, usage_pages=60),
    ]
    counted = {"children_used": 2, "children_pages": 90, "domain__usage_pages": 100}
    made = records.victim(paths={"domain": strings}, children=children, **counted | fields)
    raw = wire.victim(made)
    raw["domain.path_size"] = len(b"pod\0kubepods\0")
    return Decoder(HOST).decode(raw)


def test_the_domains_children_are_the_largest_first() -> None:
    domain = of_domain().domain
    assert domain is not None
    assert domain.children == (
        Child("/kubepods/pod/app", 7, 60 * PAGE, None),
        Child("/kubepods/pod/side", 8, 30 * PAGE, 50 * PAGE),
    )


@pytest.mark.parametrize(
    ("fields", "gone"),
    [
        ({}, 10 * PAGE),
        ({"children_pages": 101}, 0),  # not read at the same instant
        ({"domain__flags": lib.OOMKILL_MEMCG_POPULATED}, None),  # its own processes'
        ({"flags": lib.OOMKILL_CHILDREN_CUT}, None),
        ({"children_used": 0, "children_pages": 0}, None),
        ({"children_used": lib.OOMKILL_UNKNOWN_U32}, None),
    ],
)
def test_what_no_living_child_holds(fields: dict[str, int], gone: int | None) -> None:
    domain = of_domain(**fields).domain
    assert domain is not None
    assert domain.stat is not None
    assert domain.stat.gone_bytes == gone


@pytest.mark.parametrize(
    ("listed", "swapcached", "swapped", "pinned"),
    [
        (100, 0, 0, 40),
        (100, 15, 20, 25),
        (50, 0, 0, 0),
        (lib.OOMKILL_UNKNOWN, 0, 0, None),
        (100, lib.OOMKILL_UNKNOWN, 0, 40),  # before 5.12
        (100, lib.OOMKILL_UNKNOWN, 20, None),  # some of them may be swap's
    ],
)
def test_pages_that_only_a_pin_holds(
    listed: int, swapcached: int, swapped: int, pinned: int | None
) -> None:
    """Those on the kernel's lists less what is mapped, a file's, shmem's and swap's."""
    incident = decode(
        paths=LEAF_FIRST,
        domain__swap_usage_pages=swapped,
        domain_stat__anon_pages=50,
        domain_stat__file_pages=10,
        domain_stat__shmem_pages=10,
        domain_stat__swapcached_pages=swapcached,
        domain_stat__lru_pages=listed,
    )
    assert incident.domain is not None
    assert incident.domain.stat is not None
    assert incident.domain.stat.pinned_bytes == (None if pinned is None else pinned * PAGE)


def test_of_a_cgroup_that_may_not_have_been_the_cause_nothing_is_inferred() -> None:
    flags = lib.OOMKILL_INFERRED | lib.OOMKILL_UNTOLD
    assert not decode(paths={"victim_memcg": b"app\0"}, flags=flags).inferred
