# SPDX-License-Identifier: Apache-2.0
"""The few types that libbpf is given are the kernel's own; damaged ones are never followed."""

from __future__ import annotations

import errno
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.errors import BpfError
from container_oomkill.libbpf._libbpf import ffi, lib
from container_oomkill.libbpf.btf import struct_layout
from container_oomkill.libbpf.core_types import KERNEL_TYPES, CoreTypes, named
from container_oomkill.probe import object_file

STRUCTS = ("task_struct", "mm_struct", "mem_cgroup", "cgroup", "kernfs_node", "oom_control")
ABSENT = "no such struct"
UNKNOWN_KIND = 31 << 24  # in btf_type.info
LATER_KIND = 32 << 24  # the first that older headers have no room for
HEADER = 24  # bytes of it that every kernel has


def object_types() -> bytes:
    with Path(object_file.PACKAGED).open("rb") as file:
        section = ELFFile(file).get_section_by_name(".BTF")
        assert section is not None
        data: bytes = section.data()
    return data


OWN = object_types()
FIRST_INFO = int.from_bytes(OWN[28:32], "little")  # of its first type


@pytest.fixture(scope="module")
def own() -> Iterator[Any]:
    btf = lib.btf__new(ffi.from_buffer(OWN), len(OWN))
    assert btf != ffi.NULL
    yield btf
    lib.btf__free(btf)


def layout(types: bytes, name: str) -> tuple[int, dict[str, int]] | str:
    try:
        return struct_layout(types, name)
    except BpfError:
        return ABSENT


def test_the_kernels_own_layouts(own: Any) -> None:
    kernel = Path(KERNEL_TYPES).read_bytes()
    few = named(kernel, own)
    assert few is not None
    assert len(few) < len(kernel) / 10
    for struct in STRUCTS:
        found = layout(few, struct)
        assert found == layout(kernel, struct)
        assert found != ABSENT
    assert layout(few, "task_group") == ABSENT, "no type of the object is called so"


def test_all_of_an_objects_own(own: Any) -> None:
    few = named(OWN, own)
    assert few is not None
    for struct in (*STRUCTS, *object_file.STRUCTS):
        assert layout(few, struct) == layout(OWN, struct)


def test_a_later_kernels_longer_header(own: Any) -> None:
    """Its end is what it says itself; what is given to libbpf has what every libbpf reads."""
    longer = OWN[:4] + (HEADER + 8).to_bytes(4, "little") + OWN[8:HEADER] + bytes(8) + OWN[HEADER:]
    few = named(longer, own)
    assert few == named(OWN, own)
    assert few is not None
    assert int.from_bytes(few[4:8], "little") == HEADER


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        OWN[:20],
        OWN[:-1],
        b"\0\0" + OWN[2:],
        OWN[:24] + b"\xff\xff\xff\xff" + OWN[28:],  # the first type's name
        OWN[:28] + UNKNOWN_KIND.to_bytes(4, "little") + OWN[32:],
        OWN[:28] + (FIRST_INFO | LATER_KIND).to_bytes(4, "little") + OWN[32:],
    ],
)
def test_damaged(own: Any, damaged: bytes) -> None:
    assert named(damaged, own) is None


@given(st.integers(0, len(OWN) - 1), st.binary(min_size=1, max_size=8), st.integers(1, len(OWN)))
def test_any_damage(own: Any, at: int, new: bytes, size: int) -> None:
    """Refused, or types that libbpf can read or refuses in its turn: never read beyond the end."""
    few = named((OWN[:at] + new + OWN[at + len(new) :])[:size], own)
    if few is not None:
        layout(few, "oomkill_victim")


def test_single_questions_are_answered_as_libbpf_answers_them() -> None:
    kernel = Path(KERNEL_TYPES).read_bytes()
    with CoreTypes(None) as types:
        for struct in (*STRUCTS, "trace_event_raw_mark_victim", ABSENT):
            found = layout(kernel, struct)
            members = found[1] if isinstance(found, tuple) else {}
            for member in (*[name for name in members if name], "uid", "no such member"):
                assert types.has_member(struct, member) is (member in members)
        assert types.takes_fentry("no such function") is None


@pytest.mark.parametrize("size", [0, 1, 20, 24, 1000, len(OWN) - 1])
def test_damaged_types_answer_nothing(size: int, tmp_path: Path) -> None:
    damaged = tmp_path / "types"
    damaged.write_bytes(OWN[:size])
    with CoreTypes(str(damaged)) as types:
        assert not types.has_member("oomkill_victim", "header")
        assert types.takes_fentry("mark_victim") is None


@given(st.integers(0, len(OWN) - 1), st.binary(min_size=1, max_size=8), st.integers(1, len(OWN)))
def test_any_damage_is_answered(at: int, new: bytes, size: int) -> None:
    """Yes or no: never read beyond the end."""
    data = (OWN[:at] + new + OWN[at + len(new) :])[:size]
    name, member = b"oomkill_victim", b"header"
    assert lib.oomkill_has_member(ffi.from_buffer(data), len(data), name, member) in (True, False)


def test_types_of_a_kernel_that_does_not_map_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 6.16 the file can be read, and mmap() is refused."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENODEV, "no such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with CoreTypes(None) as types:
        assert isinstance(types._data, bytes)
        assert types.has_member("task_struct", "comm")
