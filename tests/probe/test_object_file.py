# SPDX-License-Identifier: Apache-2.0
"""A damaged or foreign object is refused before the kernel sees it, by name and reason."""

from __future__ import annotations

import contextlib
import platform
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from hypothesis import given
from hypothesis import strategies as st

from container_oomkill.errors import ObjectError, UsageError
from container_oomkill.incident import wire
from container_oomkill.killers import attach as killers
from container_oomkill.probe import object_file
from container_oomkill.probe.attach import CANDIDATE_SCAN, PROGRAMS, VICTIM_SIGNAL
from container_oomkill.recorder import huge_pages, reclaim

WHOLE = Path(object_file.PACKAGED).read_bytes()
MACHINE = 18  # offset of e_machine in an ELF header
DATA_ENCODING = 5
SYMBOL_VALUE = 8  # offset of st_value in a symbol
KERNEL_NAME = 15  # characters of a program's name that the kernel keeps


def section_bounds(name: str) -> tuple[int, int]:
    with Path(object_file.PACKAGED).open("rb") as file:
        section = ELFFile(file).get_section_by_name(name)
        assert section is not None
        return section["sh_offset"], section["sh_size"]


def changed(offset: int, new: bytes) -> bytes:
    return WHOLE[:offset] + new + WHOLE[offset + len(new) :]


def test_the_packaged_object_is_known_by_its_checksum_and_would_pass_the_check() -> None:
    assert object_file.read_object() == WHOLE
    assert wire.is_packaged_object(WHOLE)
    assert not wire.is_packaged_object(WHOLE + b"\0")
    object_file.check_object(WHOLE, "the packaged one")


def test_programs_are_named_after_what_they_sit_on_and_told_apart_by_what_the_kernel_keeps() -> (
    None
):
    with Path(object_file.PACKAGED).open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        sections = [section.name for section in elf.iter_sections()]
        named = {
            symbol.name: sections[symbol["st_shndx"]]
            for symbol in table.iter_symbols()
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF"
        }
    programs = {name: section for name, section in named.items() if "/" in section}
    attached = [name for names in (*PROGRAMS.values(), *CANDIDATE_SCAN.values()) for name in names]
    beside = {*reclaim.PROGRAMS, killers.PROGRAM, VICTIM_SIGNAL, huge_pages.PROGRAM}
    assert set(programs) == {*attached, *beside}
    for name, section in programs.items():
        kind, function = section.split("/")
        if name in reclaim.PROGRAMS:  # of the two functions what is not the same in both
            assert function.endswith(name)
            continue
        if name in (VICTIM_SIGNAL, huge_pages.PROGRAM):  # not the first on its tracepoint
            continue
        if name in PROGRAMS["raw_tracepoint"]:  # another is on the same, beside the other hooks
            function += "_alone"
        assert name == (function if kind == "raw_tp" else f"{kind}_{function}")
    assert len({name[:KERNEL_NAME] for name in programs}) == len(programs) == 17


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "damaged, or not an ELF file"),
        (b"#!/bin/sh\n", "damaged, or not an ELF file"),
        (WHOLE[:64], "damaged"),
        (WHOLE[: len(WHOLE) // 2], "damaged"),
        (WHOLE[:-1], "damaged"),
        (changed(MACHINE, struct.pack("<H", 62)), "for machine EM_X86_64, not EM_BPF"),
        (WHOLE.replace(b"Dual BSD/GPL", b"Proprietary!"), "GPL-compatible licence"),
        (WHOLE.replace(b".BTF\0", b".XTF\0"), "no type information"),
        (WHOLE.replace(b"oomkill_victim\0", b"oomkill_victor\0"), "another program"),
        (WHOLE.replace(b"total_pages\0", b"totem_poles\0"), "total_pages is missing"),
    ],
)
def test_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    assert data != WHOLE
    path = tmp_path / "other.bpf.o"
    path.write_bytes(data)
    with pytest.raises(ObjectError) as refused:
        object_file.read_object(str(path))
    assert str(path) in str(refused.value)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("number", "machine"), [(62, "x86_64"), (183, "aarch64"), (8, "an unknown machine")]
)
def test_another_machines_registers_are_refused(number: int, machine: str, tmp_path: Path) -> None:
    """Its kprobes would look for their arguments in registers that are not there."""
    if machine == platform.machine():
        object_file.check_object(WHOLE, "ours")
        return
    with Path(object_file.PACKAGED).open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        [index] = [i for i, s in enumerate(table.iter_symbols()) if s.name == "oomkill_machine"]
        value = table["sh_offset"] + index * table["sh_entsize"] + SYMBOL_VALUE
    path = tmp_path / "other.bpf.o"
    path.write_bytes(changed(value, struct.pack("<Q", number)))
    with pytest.raises(ObjectError, match=f"built for {machine}, this machine is") as refused:
        object_file.read_object(str(path))
    assert str(refused.value).endswith(platform.machine())


def test_another_layout_is_refused(tmp_path: Path) -> None:
    """A field moved by 8 bytes: what a build from other sources would look like."""
    offset, size = section_bounds(".BTF")
    btf = bytearray(WHOLE[offset : offset + size])
    header_size, type_offset = struct.unpack_from("<xxxxII", btf)[0:2]
    at = header_size + type_offset
    strings = header_size + struct.unpack_from("<I", btf, 16)[0]
    while True:
        name, info, bytes_ = struct.unpack_from("<III", btf, at)
        text = btf[strings + name : btf.index(0, strings + name)]
        kind, members = info >> 24 & 0x1F, info & 0xFFFF
        if kind == 4 and text == b"oomkill_process":
            break
        trailing = {1: 4, 3: 12, 4: 12 * members, 5: 12 * members, 6: 8 * members}
        trailing |= {13: 8 * members, 14: 4, 15: 12 * members, 17: 4, 19: 12 * members}
        at += 12 + trailing.get(kind, 0)
    second = at + 12 + 12
    moved = struct.unpack_from("<I", btf, second + 8)[0] + 64
    struct.pack_into("<I", btf, second + 8, moved)
    path = tmp_path / "other.bpf.o"
    path.write_bytes(changed(offset, bytes(btf)))
    assert bytes_ == wire.ffi.sizeof("struct oomkill_process")
    with pytest.raises(ObjectError, match=r"oomkill_process\.file_pages is at byte 16"):
        object_file.read_object(str(path))


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=64))
def test_damage_is_refused_or_harmless_but_never_a_crash(offset: int, new: bytes) -> None:
    with contextlib.suppress(ObjectError):
        object_file.check_object(changed(offset, new), "damaged")


@given(st.binary(max_size=4096))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    with pytest.raises(ObjectError):
        object_file.check_object(data, "noise")


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        object_file.read_object(str(tmp_path / "nowhere.o"))
    with pytest.raises(UsageError, match="is a directory"):
        object_file.read_object(str(tmp_path))
