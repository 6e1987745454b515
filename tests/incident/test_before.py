# SPDX-License-Identifier: Apache-2.0
"""What the flight recorder sent: ticks to seconds, pages to bytes, and what cannot be true."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.errors import RecordError
from container_oomkill.incident import wire
from container_oomkill.incident.assembler import Assembler
from container_oomkill.incident.before import Before, Limit, Recording
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.model import Host
from container_oomkill.incident.wire import ffi, lib

from ..support import records

PAGE = 65536
HOST = Host("node", "6.12", PAGE, clock_offset_ns=0)
SECOND = 1_000_000_000
UNKNOWN = lib.OOMKILL_UNKNOWN_U32
SIZE = ffi.sizeof("struct oomkill_before")


def record(boot_seconds: float, tick_ns: int = SECOND, **domain: Any) -> bytes:
    made = ffi.new("struct oomkill_before *")
    made.tick_ns = tick_ns
    values = {"id": 7, "full_since": UNKNOWN} | domain
    for name, value in values.items():
        setattr(made.domain, name, value)
    head = {"kind": lib.OOMKILL_BEFORE, "size": SIZE, "boot_ns": round(boot_seconds * SECOND)}
    made.header = records.header(**head)[0]
    return bytes(ffi.buffer(made))


def decode(*given: Any, **fields: Any) -> Before:
    return Decoder(HOST).ahead(lib.OOMKILL_BEFORE, record(*given, **fields), Before())


def ring(first: int, last: int) -> list[int]:
    """Its tick in each slot, as far as they were written."""
    made = [0] * lib.OOMKILL_SAMPLES
    for tick in range(first, last + 1):
        made[tick % len(made)] = tick
    return made


def recording(*given: Any, **fields: Any) -> Recording:
    found = decode(*given, **fields).usage.domain
    assert found is not None
    return found


def test_a_young_cgroup_has_one_series() -> None:
    fine = ring(100, 105)
    fine[103 % len(fine)] = UNKNOWN
    found = recording(105.25, first=100, last=105, fine=fine, flags=lib.OOMKILL_RECORDING_WHOLE)
    assert (found.recorded_seconds, found.whole_life) == (5.25, True)
    assert found.at_limit_seconds == 0
    (only,) = found.series
    assert (only.period_seconds, only.newest_before_seconds) == (1.0, 0.25)
    assert only.usage_bytes == tuple(
        None if tick == 103 else tick * PAGE for tick in range(100, 106)
    )


def test_an_old_one_has_three_and_of_a_full_one_the_oldest_sample_is_left_out() -> None:
    last = 400_000
    medium, coarse = last // lib.OOMKILL_MEDIUM_TICKS, last // lib.OOMKILL_COARSE_TICKS
    found = recording(
        last + 0.5,
        first=3,
        last=last,
        fine=ring(last - 63, last),
        medium=ring(medium - 64, medium - 1),
        medium_now=11,
        coarse=ring(coarse - 64, coarse - 1),
        coarse_now=12,
        full_since=last - 9,
    )
    fine, by_minute, by_half_hour = found.series
    assert [each.period_seconds for each in found.series] == [1.0, 60.0, 1800.0]
    assert fine.usage_bytes == tuple(PAGE * tick for tick in range(last - 62, last + 1))
    assert by_minute.usage_bytes[-2:] == ((medium - 1) * PAGE, 11 * PAGE)
    assert by_half_hour.usage_bytes[-2:] == ((coarse - 1) * PAGE, 12 * PAGE)
    assert len(by_minute.usage_bytes) == len(by_half_hour.usage_bytes) == 63
    assert by_minute.newest_before_seconds == last % 60 + 0.5
    assert found.at_limit_seconds == 9.5


def test_limits() -> None:
    limits = [{"tick": 10, "pages": 5}, {"tick": 70, "pages": UNKNOWN - 1}]
    found = recording(100, first=10, last=99, limits=limits, limits_seen=2)
    assert found.limits == (Limit(90.0, 5 * PAGE), Limit(30.0, None))
    many = [{"tick": each, "pages": each} for each in (18, 19, 12, 13, 14, 15, 16, 17)]
    found = recording(100, first=10, last=99, limits=many, limits_seen=10)
    assert [limit.before_seconds for limit in found.limits] == [
        100 - each for each in range(13, 20)
    ]


def test_another_tick() -> None:
    found = recording(2.005, 10_000_000, first=100, last=200, fine=ring(137, 200))
    assert found.series[0].period_seconds == 0.01
    assert found.series[0].newest_before_seconds == 0.005
    assert found.recorded_seconds == 1.005


@pytest.mark.parametrize(
    "fields",
    [
        {"id": 0},
        {"flags": lib.OOMKILL_RECORDING_TORN},
        {"first": 5, "last": 4},
        {"first": 1, "last": 99_999},
        {"last": UNKNOWN},
    ],
)
def test_what_was_not_recorded_or_cannot_be(fields: dict[str, int]) -> None:
    assert decode(100, **({"first": 1, "last": 2} | fields)).usage.domain is None
    assert decode(100, 0, first=1, last=2).usage.domain is None


def test_it_belongs_to_its_incident_alone() -> None:
    taken = Assembler(Decoder(HOST), lambda: 0.0, lambda: None, None)
    sent = record(105.25, first=100, last=105)
    victims = [
        records.victim(head={"sequence": 2 + each, "incident": 1 + each}) for each in range(2)
    ]
    assert list(taken.take(sent, 1)) == []
    ((first, _),) = taken.take(victims[0], 2)
    ((second, _),) = taken.take(victims[1], 3)
    assert first.before is not None
    assert first.before.usage.domain is not None
    assert second.before is None
    assert taken.missing == 0


def test_a_record_of_another_size() -> None:
    with pytest.raises(RecordError, match="before a kill: expected"):
        wire.before(bytes(SIZE - 1))


@given(st.binary(min_size=SIZE, max_size=SIZE))
def test_any_bytes(data: bytes) -> None:
    Decoder(HOST).ahead(lib.OOMKILL_BEFORE, data, Before())
