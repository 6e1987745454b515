# SPDX-License-Identifier: Apache-2.0
"""Checks that a BPF object is ours and intact before the kernel sees it.

For a wrong object the kernel gives an errno and a page of verifier log. So pyelftools reads the ELF
file first: is it for the BPF machine, for this machine's registers and byte order, does it have a
licence and type information, and does it lay out the records as the extension does?

The packaged object is recognised by its checksum, which is compiled into the extension, and is not
parsed: importing pyelftools takes longer than attaching.
"""

from __future__ import annotations

import os
import sys

from ..errors import BpfError, ObjectError, UsageError
from ..incident import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

PACKAGED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "oomkill.bpf.o")
MAX_BYTES = 16 << 20
MACHINES = {"x86_64": 62, "aarch64": 183}  # EM_* in elf.h
STRUCTS = (
    "oomkill_header",
    "oomkill_memcg",
    "oomkill_stat",
    "oomkill_candidate",
    "oomkill_trigger",
    "oomkill_process",
    "oomkill_victim",
    "oomkill_limit",
    "oomkill_recording",
    "oomkill_before",
    "oomkill_stack",
    "oomkill_stack_names",
    "oomkill_user_frame",
    "oomkill_user_stack",
    "oomkill_recorder",
    "oomkill_stuck",
    "oomkill_party",
    "oomkill_kill",
    "oomkill_killers",
    "oomkill_counters",
    "oomkill_config",
)


def read_object(path: str | None = None) -> bytes:
    """Return a BPF object's bytes, the packaged one's by default; `ObjectError` if it fails."""
    source = path or PACKAGED
    try:
        with open(source, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        kind = ObjectError if path is None else UsageError
        words = (error.strerror or str(error)).lower()
        raise kind(f"read the BPF object {source}: {words}") from error
    if not wire.is_packaged_object(data):
        check_object(data, source)
    return data


def check_object(data: bytes, name: str) -> None:
    """Refuse by name and reason what is not an object of this very build's layout."""
    from io import BytesIO

    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError
    from elftools.elf.elffile import ELFFile

    if len(data) > MAX_BYTES:
        raise _refusal(name, f"larger than {MAX_BYTES >> 20} MiB")
    try:
        elf = ELFFile(BytesIO(data))
        machine, little = elf["e_machine"], elf.little_endian
        sections = {section.name: section.data() for section in elf.iter_sections()}
        registers = _registers(elf)
    except (ELFError, ConstructError, OSError, ValueError, LookupError, OverflowError) as error:
        raise _refusal(
            name, f"damaged, or not an ELF file: {error or type(error).__name__}"
        ) from error
    except (AssertionError, AttributeError, TypeError, MemoryError) as error:
        # What pyelftools raises for some headers that contradict themselves.
        raise _refusal(name, f"damaged: inconsistent headers ({error})") from error
    if machine != "EM_BPF":
        raise _refusal(name, f"built for machine {machine}, not EM_BPF")
    if little != (sys.byteorder == "little"):
        raise _refusal(name, f"not built for this machine's byte order, {sys.byteorder} endian")
    ours = os.uname().machine
    if registers != MACHINES.get(ours, registers):
        known = [machine for machine, number in MACHINES.items() if number == registers]
        theirs = known[0] if known else "an unknown machine"
        raise _refusal(name, f"built for {theirs}, this machine is {ours}")
    if b"GPL" not in sections.get("license", b""):
        raise _refusal(name, "no GPL-compatible licence, which the kernel requires")
    if not sections.get(".BTF"):
        raise _refusal(name, "no type information (.BTF): only DWARF may be stripped")
    for struct in STRUCTS:
        _check_layout(name, sections[".BTF"], struct)


def _registers(elf: ELFFile) -> int | None:
    """The machine whose registers the kprobes read, as oomkill.bpf.c has it; None if unknown."""
    from elftools.elf.sections import SymbolTableSection

    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return None
    symbols = table.get_symbol_by_name("oomkill_machine")
    return int(symbols[0]["st_value"]) if symbols else None


def _refusal(name: str, reason: str) -> ObjectError:
    return ObjectError(f"refused the BPF object {name}: {reason}")


def _check_layout(name: str, btf: bytes, struct: str) -> None:
    from ..libbpf.btf import struct_layout

    kind = wire.ffi.typeof(f"struct {struct}")
    ours = {name: field.offset for name, field in kind.fields}
    try:
        size, offsets = struct_layout(btf, struct)
    except BpfError as error:
        raise _refusal(name, f"{error}: does it belong to another program?") from error
    expected = wire.ffi.sizeof(kind)
    if size != expected:
        raise _refusal(name, f"struct {struct} has {size} bytes, in this build {expected}")
    for field, offset in ours.items():
        if offsets.get(field) != offset:
            found = offsets.get(field)
            where = "missing" if found is None else f"at byte {found}"
            raise _refusal(name, f"{struct}.{field} is {where}, in this build at byte {offset}")
