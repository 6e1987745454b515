# SPDX-License-Identifier: Apache-2.0
"""One ELF file: its build id, and the function and line at an offset into it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection

MAGIC = b"\x7fELF"
# What pyelftools raises for files that contradict themselves.
BROKEN = (
    *(ELFError, ConstructError, OSError, ValueError, LookupError, OverflowError),
    *(AssertionError, AttributeError, TypeError, MemoryError, RecursionError),
)
EXECUTABLE = 1  # PF_X


@dataclass(frozen=True, slots=True)
class Place:
    """What lies at an offset, as far as the file says."""

    function: str | None = None
    file: str | None = None
    line: int | None = None


class ElfFile:
    """A program, a library, or a debug file that was split off one."""

    def __init__(self, path: str) -> None:
        """Raises one of `BROKEN`."""
        self.path = path
        self._file = Path(path).open("rb")  # noqa: SIM115 - read for as long as it lives
        try:
            self._elf = ELFFile(self._file)
            self._look()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()

    def _look(self) -> None:
        self.build_id = self._build_id()
        loads = list(self._elf.iter_segments("PT_LOAD"))
        self._loads = [
            (each["p_offset"], each["p_filesz"], each["p_vaddr"], each["p_flags"]) for each in loads
        ]
        code = [each for each in self._loads if each[3] & EXECUTABLE]
        self.is_split_off = bool(code) and not any(size for _, size, _, _ in code)
        self._symbols: tuple[list[int], list[tuple[int, str]]] | None = None

    def place(self, offset: int) -> Place:
        """Return what is at an offset into the file that was mapped; `Place()`: unknown."""
        try:
            address = self._address(offset)
            if address is None:
                return Place()
            return Place(self._function(address), *self._line(address))
        except BROKEN:
            return Place()

    def _build_id(self) -> str | None:
        for section in self._elf.iter_sections():
            if isinstance(section, NoteSection):
                for note in section.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        return str(note["n_desc"])
        return None

    def _address(self, offset: int) -> int | None:
        """Offset into the file to address, by its segments.

        What is split off has none of the program's bytes, and no offsets into it. GNU's linkers lay
        out addresses as the file is; LLVM's does not, and its files cannot be read without the
        program.
        """
        if not self.is_split_off:
            for start, size, address, _ in self._loads:
                if start <= offset < start + size:
                    return int(address + offset - start)
            return None
        comment = self._elf.get_section_by_name(".comment")
        if comment is not None and b"LLD" in comment.data():
            return None
        return int(min(address for _, _, address, _ in self._loads) + offset)

    def _function(self, address: int) -> str | None:
        if self._symbols is None:
            found = []
            for name in (".symtab", ".dynsym"):
                table = self._elf.get_section_by_name(name)
                if not isinstance(table, SymbolTableSection):
                    continue
                found += [
                    (each["st_value"], each["st_size"], each.name)
                    for each in table.iter_symbols()
                    if each["st_info"]["type"] == "STT_FUNC" and each["st_value"]
                ]
                if found:
                    break
            found.sort()
            self._symbols = [each[0] for each in found], [each[1:] for each in found]
        starts, named = self._symbols
        at = bisect_right(starts, address) - 1
        if at < 0:
            return None
        size, name = named[at]
        return str(name) if address < starts[at] + max(size, 1) else None

    def _line(self, address: int) -> tuple[str | None, int | None]:
        if not self._elf.has_dwarf_info():
            return None, None
        dwarf = self._elf.get_dwarf_info()
        ranges = dwarf.get_aranges()
        unit_at = None if ranges is None else ranges.cu_offset_at_addr(address)
        if unit_at is None:
            return None, None
        program = dwarf.line_program_for_CU(dwarf.get_CU_at(unit_at))
        last: Any = None
        for entry in program.get_entries() if program else ():
            state = entry.state
            if state is None:
                continue
            if last is not None and last.address <= address < state.address:
                return _file_name(program, last.file), int(last.line)
            last = None if state.end_sequence else state
        return None, None


def _file_name(program: Any, number: int) -> str | None:
    files = program["file_entry"]
    index = number if program["version"] >= 5 else number - 1
    if not 0 <= index < len(files):
        return None
    name = files[index].name
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def build_id_of(path: str) -> str | None:
    """Return it; None: no ELF file, or one without."""
    file = open_elf(path)
    if file is None:
        return None
    file.close()
    return file.build_id


def open_elf(path: str) -> ElfFile | None:
    """Return the file; None: it is not there, or no ELF file that can be read."""
    try:
        with Path(path).open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return None
        return ElfFile(path)
    except BROKEN:
        return None
