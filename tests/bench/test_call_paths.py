# SPDX-License-Identifier: Apache-2.0
"""What the kernel goes through to check the stack of each program: every path of calls.

From check_max_stack_depth() in kernel/bpf/verifier.c, which is no part of the verifier's steps: at
each call it goes through the function that is called, once more for each time that it is.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from container_oomkill.probe.object_file import read_object

INSTRUCTION = 8  # bytes
# Today's number rounded up; with the node's walk unrolled it was nine million.
MOST = 80_000


def functions() -> Mapping[str, tuple[int, tuple[str, ...]]]:
    """How many instructions each has, and the functions it calls, as often as it does."""
    elf = ELFFile(io.BytesIO(read_object()))
    symbols = next(each for each in elf.iter_sections() if isinstance(each, SymbolTableSection))
    calls: dict[tuple[int, int], str] = {}  # by section and place
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection) or ".BTF" in section.name:
            continue
        for relocation in section.iter_relocations():
            symbol = symbols.get_symbol(relocation["r_info_sym"])
            if symbol["st_info"]["type"] == "STT_FUNC":
                calls[section["sh_info"], relocation["r_offset"]] = symbol.name
    found = {}
    for symbol in symbols.iter_symbols():
        if symbol["st_info"]["type"] != "STT_FUNC":
            continue
        start, size, where = symbol["st_value"], symbol["st_size"], symbol["st_shndx"]
        places = range(start, start + size, INSTRUCTION)
        called = tuple(calls[where, at] for at in places if (where, at) in calls)
        found[symbol.name] = (size // INSTRUCTION, called)
    return found


def test_the_paths_of_calls_are_few() -> None:
    known = functions()

    @functools.cache
    def walked(name: str) -> int:
        size, called = known[name]
        return size + sum(map(walked, called))

    found = {name: walked(name) for name in known}
    assert found["mark_victim_alone"] > 2 * known["mark_victim_alone"][0]  # it calls
    assert max(found.values()) <= MOST, sorted(found.items(), key=lambda each: -each[1])[:5]
