# SPDX-License-Identifier: Apache-2.0
"""Takes the bytes of a .BTF section, gives the structs described in it."""

from __future__ import annotations

from ._libbpf import ffi, lib
from .status import check, check_pointer


def struct_layout(data: bytes, name: str) -> tuple[int, dict[str, int]]:
    """Return a struct's size and each field's offset, in bytes; `BpfError` if it is not there."""
    btf = check_pointer(lib.btf__new(ffi.from_buffer(data), len(data)), "read the type information")
    try:
        found = lib.btf__find_by_name_kind(btf, name.encode(), lib.BTF_KIND_STRUCT)
        number = check(found, f"find struct {name}")
        kind = lib.btf__type_by_id(btf, number)
        members = lib.btf_members(kind)
        offsets = {}
        for index in range(lib.btf_vlen(kind)):
            text = lib.btf__name_by_offset(btf, members[index].name_off)
            field = ffi.string(check_pointer(text, f"read struct {name}")).decode(
                "utf-8", "replace"
            )
            offsets[field] = lib.btf_member_bit_offset(kind, index) // 8
        return kind.size, offsets
    finally:
        lib.btf__free(btf)
        lib.oomkill_heap_trim()
