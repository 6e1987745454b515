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
from container_oomkill.incident.stack import Frame, Stack
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


def names_record(*names: bytes, used: int | None = None, **head: Any) -> bytes:
    made = ffi.new("struct oomkill_stack_names *")
    made.used = len(names) if used is None else used
    for at, name in enumerate(names):
        ffi.memmove(made.names + at * lib.OOMKILL_SYMBOL_LEN, name + b"\0", len(name) + 1)
    values = {"kind": lib.OOMKILL_STACK_NAMES, "size": ffi.sizeof(made[0])}
    made.header = records.header(**values | head)[0]
    return bytes(ffi.buffer(made))


def test_names_as_the_kernel_prints_them() -> None:
    """Of those that tell something; a variant, a module's, and what is no name."""
    sent = names_record(
        b"bpf_prog_5f160631e7e3cb75_climb",
        b"do_anonymous_page.isra.0",
        b"do_anonymous_page",
        b"generic_perform_write [ext4]",
        b"0xffffffff81000000",
        b"",
        b"\xff\xfe",
    )
    found = Decoder(HOST).stack_names(wire.stack_names(sent))
    assert found == Stack(kernel=("do_anonymous_page", "generic_perform_write"))
    many = Decoder(HOST).stack_names(wire.stack_names(names_record(used=1000)))
    assert many == Stack(kernel=())


def test_a_record_of_names_of_another_size() -> None:
    with pytest.raises(RecordError, match="of a stack: expected"):
        wire.stack_names(names_record()[:-1])
    with pytest.raises(RecordError, match="of a stack: expected"):
        wire.user_stack(b"")


def user_record(*frames: tuple[int, bytes, int], **head: Any) -> bytes:
    made = ffi.new("struct oomkill_user_stack *")
    made.used = len(frames)
    for at, (status, build_id, offset) in enumerate(frames):
        made.frames[at].status, made.frames[at].offset = status, offset
        ffi.memmove(made.frames[at].build_id, build_id, len(build_id))
    values = {"kind": lib.OOMKILL_USER_STACK, "size": ffi.sizeof(made[0])}
    made.header = records.header(**values | head)[0]
    return bytes(ffi.buffer(made))


def test_its_own_program() -> None:
    """A build id that the kernel did not have at hand comes as an address, which is left out."""
    sent = user_record((1, b"\xab" * 20, 0x1139), (2, b"", 0x7FFF_0000), (1, b"\xcd" * 8, 7))
    found = Decoder(HOST).user_stack(wire.user_stack(sent))
    assert found == Stack(user=(Frame("ab" * 20, 0x1139), Frame(), Frame("cd" * 8 + "00" * 12, 7)))
    assert Decoder(HOST).user_stack(wire.user_stack(user_record())) is None


def test_both_stacks_in_either_order() -> None:
    both = [record(7), user_record((1, b"\xab" * 20, 1))]
    whole = Stack(kernel=("f7",), user=(Frame("ab" * 20, 1),))
    for sent in (both, both[::-1]):
        taken = Assembler(Decoder(HOST, numbered), lambda: 0.0, lambda: None, None)
        for number, each in enumerate(sent):
            assert list(taken.take(each, number)) == []
        ((incident, _),) = taken.take(records.victim(head={"sequence": 3}), 3)
        assert incident.trigger.stack == whole


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
