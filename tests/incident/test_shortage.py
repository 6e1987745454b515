# SPDX-License-Identifier: Apache-2.0
"""How short of memory it was: nanoseconds to seconds before the kill, pages to bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.errors import RecordError
from container_oomkill.incident import wire
from container_oomkill.incident.assembler import Assembler
from container_oomkill.incident.before import Before, ReclaimOf, Refaults, RefaultsOf
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.model import Host
from container_oomkill.incident.wire import ffi, lib

from ..support import records

PAGE = 65536
HOST = Host("node", "6.12", PAGE, clock_offset_ns=0)
SECOND = 1_000_000_000
SIZE = ffi.sizeof("struct oomkill_shortage")
UNKNOWN = lib.OOMKILL_UNKNOWN


def record(boot_seconds: float = 100, sequence: int = 1, **fields: Any) -> bytes:
    """``fields``: the domain's; refaults are unknown unless given."""
    made = ffi.new("struct oomkill_shortage *")
    for refaults in (made.domain_refaults, made.victim_refaults):
        refaults.anon_pages = refaults.file_pages = UNKNOWN
    for name, value in fields.items():
        of = made.domain_refaults if name.endswith("_pages") else made.domain
        setattr(of, name, value)
    head = {"kind": lib.OOMKILL_SHORTAGE, "size": SIZE, "boot_ns": round(boot_seconds * SECOND)}
    made.header = records.header(**head, sequence=sequence)[0]
    return bytes(ffi.buffer(made))


def decode(*given: Any, **fields: Any) -> Before:
    return Decoder(HOST).ahead(lib.OOMKILL_SHORTAGE, record(*given, **fields), Before())


def episode(**fields: int) -> ReclaimOf | None:
    found = decode(**({"passes": 7} | fields)).reclaim
    assert found is None or found.victim is None
    return None if found is None else found.domain


def test_an_episode() -> None:
    found = episode(first_ns=60 * SECOND, last_ns=99 * SECOND, stalled_ns=SECOND // 4)
    assert found == ReclaimOf(first_before_seconds=40.0, passes=7, stalled_seconds=0.25)


def test_one_that_goes_on_after_the_record_was_begun() -> None:
    found = episode(first_ns=60 * SECOND, last_ns=100 * SECOND + 5)
    assert found is not None
    assert found.first_before_seconds == 40.0


@pytest.mark.parametrize(
    "fields",
    [
        {"first_ns": 0, "last_ns": 0},
        {"first_ns": 60 * SECOND, "last_ns": 89 * SECOND},  # over, eleven seconds before
        {"first_ns": 101 * SECOND, "last_ns": 101 * SECOND},
        {"first_ns": 60 * SECOND, "last_ns": UNKNOWN},
    ],
)
def test_what_is_none_or_was_over_or_cannot_be(fields: dict[str, int]) -> None:
    assert episode(**fields) is None


def test_refaults_are_bytes() -> None:
    found = decode(anon_pages=0, file_pages=3)
    assert found.refaults == Refaults(RefaultsOf(anon_bytes=0, file_bytes=3 * PAGE), None)
    assert found.reclaim is None
    assert decode(file_pages=1 << 60).refaults is None  # nothing has more than 64 bits count
    assert decode().refaults is None


def test_both_records_ahead_of_a_victim_are_of_its_incident() -> None:
    taken = Assembler(Decoder(HOST), lambda: 0.0, lambda: None, None)
    made = ffi.new("struct oomkill_before *")
    made.tick_ns = SECOND
    made.domain.id, made.domain.first, made.domain.last = 7, 95, 99
    head = {"kind": lib.OOMKILL_BEFORE, "size": len(ffi.buffer(made)), "boot_ns": 100 * SECOND}
    made.header = records.header(**head, sequence=2)[0]
    victims = [
        records.victim(head={"sequence": 3 + each, "incident": 1 + each}) for each in range(2)
    ]
    assert list(taken.take(record(file_pages=3), 1)) == []
    assert list(taken.take(bytes(ffi.buffer(made)), 2)) == []
    ((first, _),) = taken.take(victims[0], 3)
    ((second, _),) = taken.take(victims[1], 4)
    assert first.before is not None
    assert first.before.refaults == Refaults(RefaultsOf(None, 3 * PAGE), None)
    assert first.before.usage.domain is not None
    assert second.before is None
    assert taken.missing == 0


def test_a_record_of_another_size() -> None:
    with pytest.raises(RecordError, match="of a shortage: expected"):
        wire.shortage(bytes(SIZE - 1))


@given(st.binary(min_size=SIZE, max_size=SIZE))
def test_any_bytes(data: bytes) -> None:
    Decoder(HOST).ahead(lib.OOMKILL_SHORTAGE, data, Before())
