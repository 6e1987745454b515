# SPDX-License-Identifier: Apache-2.0
"""The trigger's stack: addresses to names, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.errors import RecordError
from container_oomkill.incident import wire
from container_oomkill.incident.assembler import Assembler
from container_oomkill.incident.decoder import Decoder
from container_oomkill.incident.model import Host
from container_oomkill.incident.stack import Stack
from container_oomkill.incident.wire import ffi, lib

from ..support import records

HOST = Host("node", "6.12", 4096, clock_offset_ns=0)
SIZE = ffi.sizeof("struct oomkill_stack")


def record(*frames: int, used: int | None = None, **head: Any) -> bytes:
    made = ffi.new("struct oomkill_stack *")
    made.frames = list(frames)
    made.used = len(frames) if used is None else used
    made.header = records.header(**{"kind": lib.OOMKILL_STACK, "size": SIZE} | head)[0]
    return bytes(ffi.buffer(made))


def numbered(addresses: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"f{address}" for address in addresses)


def test_as_many_as_are_used() -> None:
    decoder = Decoder(HOST, numbered)
    assert decoder.stack(wire.stack(record(7, 5, 3, used=2))) == Stack(kernel=("f7", "f5"))
    whole = decoder.stack(wire.stack(record(used=1000)))
    assert whole is not None
    assert whole.kernel is not None
    assert len(whole.kernel) == lib.OOMKILL_STACK_DEPTH


def test_without_addresses_it_is_unknown() -> None:
    assert Decoder(HOST).stack(wire.stack(record(7))) is None


def test_it_belongs_to_its_incident_alone() -> None:
    taken = Assembler(Decoder(HOST, numbered), lambda: 0.0, lambda: None, None)
    assert list(taken.take(record(7), 1)) == []
    victims = [
        records.victim(head={"sequence": 2 + each, "incident": 1 + each}) for each in range(2)
    ]
    ((first, _),) = taken.take(victims[0], 2)
    ((second, _),) = taken.take(victims[1], 3)
    assert first.trigger.stack == Stack(kernel=("f7",))
    assert second.trigger.stack is None
    assert taken.missing == 0


def test_it_is_no_kill() -> None:
    assert wire.is_part(record(7))
    assert not wire.is_part(records.victim())


def test_a_record_of_another_size() -> None:
    with pytest.raises(RecordError, match="of a stack: expected"):
        wire.stack(bytes(SIZE - 1))


@given(st.binary(min_size=SIZE, max_size=SIZE))
def test_any_bytes(data: bytes) -> None:
    Decoder(HOST, numbered).stack(wire.stack(data))
