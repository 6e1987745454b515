# SPDX-License-Identifier: Apache-2.0
"""The wire format for Python: takes a record's bytes, gives its raw numbers by name.

The layout comes from the C compiler, through the extension: nothing here repeats bpf/oomkill.h.
"""

from __future__ import annotations

import binascii
import struct
from _operator import ne  # operator itself takes long to import
from itertools import compress

from ..errors import RecordError
from . import _wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ffi: Any = _wire.ffi
lib: Any = _wire.lib

CODES = {
    "unsigned char": "B",
    "unsigned short": "H",
    "unsigned int": "I",
    "int": "i",
    "unsigned long long": "Q",
    "long long": "q",
}
# Code -> what stands for an unknown number of that width.
UNKNOWN = {
    "I": lib.OOMKILL_UNKNOWN_U32,
    "i": lib.OOMKILL_UNKNOWN_S32,
    "Q": lib.OOMKILL_UNKNOWN,
    "q": lib.OOMKILL_UNKNOWN_S64,
}


class Layout:
    """One struct of the header, up to a field if one is named, as names and a `struct` format."""

    def __init__(self, name: str, before: str | None = None) -> None:
        kind = ffi.typeof(f"struct {name}")
        names: list[str] = []
        codes = ["="]
        self.offsets = dict(_flatten(kind, "", 0, names, codes, before))
        self.names = tuple(names)
        self._unknown = tuple(UNKNOWN.get(code[-1]) for code in codes[1:])
        self._nothing = dict.fromkeys(names)
        self.format = struct.Struct("".join(codes))
        self.size = ffi.offsetof(kind, before) if before else ffi.sizeof(kind)
        if self.format.size != self.size:
            raise AssertionError(f"{name}: {self.format.size} bytes of fields in {self.size}")

    def unpack(self, data: bytes) -> dict[str, Any]:
        """Return the fields by dotted name: integers, None for unknown ones, text as bytes."""
        values = self.format.unpack_from(data)
        known = map(ne, values, self._unknown)
        fields = self._nothing.copy()
        fields.update(compress(zip(self.names, values, strict=True), known))
        return fields


def _flatten(
    kind: Any, prefix: str, base: int, names: list[str], codes: list[str], before: str | None = None
) -> list[tuple[str, int]]:
    offsets = []
    for name, field in kind.fields:
        if name == before:
            break
        path = prefix + name
        offset = base + field.offset
        offsets.append((path, offset))
        if field.type.kind == "struct":
            offsets += _flatten(field.type, path + ".", offset, names, codes)
            continue
        names.append(path)
        if field.type.kind == "array":  # of characters, or of structs with a Layout of their own
            codes.append(f"{ffi.sizeof(field.type)}s")
        else:
            codes.append(CODES[field.type.cname])
    return offsets


HEADER = Layout("oomkill_header")
VICTIM = Layout("oomkill_victim", before="strings")
CANDIDATE = Layout("oomkill_candidate")
CHILD = Layout("oomkill_child")
BEFORE = Layout("oomkill_before")
SHORTAGE = Layout("oomkill_shortage")
STACK = Layout("oomkill_stack")
STACK_NAMES = Layout("oomkill_stack_names")
USER_STACK = Layout("oomkill_user_stack")
USER_FRAME = Layout("oomkill_user_frame")
NODE = Layout("oomkill_node", before="strings")
NUMA_NODE = Layout("oomkill_numa_node")
ZONE = Layout("oomkill_zone")
SHARE = Layout("oomkill_share")
FUNCTIONS = Layout("oomkill_functions")
COUNTERS = Layout("oomkill_counters")
RECORDER = Layout("oomkill_recorder")

# What is sent ahead of an incident's first victim, and belongs to its record.
AHEAD = (lib.OOMKILL_BEFORE, lib.OOMKILL_SHORTAGE)  # what led to the kill
STACKS = (lib.OOMKILL_STACK, lib.OOMKILL_STACK_NAMES, lib.OOMKILL_USER_STACK)
PARTS = (*AHEAD, *STACKS, lib.OOMKILL_NODE)
KINDS = (lib.OOMKILL_VICTIM, lib.OOMKILL_END, *PARTS)
HOOKS = {
    lib.OOMKILL_HOOK_FENTRY: "fentry",
    lib.OOMKILL_HOOK_KPROBE: "kprobe",
    lib.OOMKILL_HOOK_RAW_TRACEPOINT: "raw_tracepoint",
}


def config(
    *,
    hook: int,
    cpus: int,
    pages_slack: int,
    page_size: int,
    cmdline: bool,
    memcg_disabled: bool = False,
    tick_ns: int = 0,
    stacks: bool = False,
    names: bool = False,
) -> bytes:
    """Return ``struct oomkill_config`` as bytes."""
    if not 0 < cpus <= lib.OOMKILL_CPUS_MAX:
        raise RecordError(f"{cpus} possible cpus: this build supports up to {lib.OOMKILL_CPUS_MAX}")
    settings = {"hook": hook, "cpus": cpus, "pages_slack": pages_slack}
    settings |= {"page_size": page_size, "cmdline": cmdline, "memcg_disabled": memcg_disabled}
    settings |= {"tick_ns": tick_ns, "stacks": stacks, "names": names}
    return bytes(ffi.buffer(ffi.new("struct oomkill_config *", settings)))


def functions(start: int, end: int) -> bytes:
    """Return ``struct oomkill_functions`` as bytes: where moom_callback() is."""
    return struct.pack("=2Q", start, end)


def u64(number: int) -> bytes:
    """Return a map's key or value of that type."""
    return struct.pack("=Q", number)


def checksum(*parts: bytes) -> int:
    """Return what tells one object with its settings from another."""
    return binascii.crc32(b"".join(parts))


def is_packaged_object(data: bytes) -> bool:
    """Tell whether these bytes are the object's that the extension was built with."""
    return bool(checksum(data) == lib.OBJECT_CHECKSUM)


def header(data: bytes) -> dict[str, Any]:
    """Return a record's header; `RecordError` if it is cut, or not as the kernel side writes it."""
    if len(data) < HEADER.size:
        raise RecordError(f"record of {len(data)} bytes: shorter than its header of {HEADER.size}")
    fields = HEADER.unpack(data)
    if fields["layout"] != lib.OOMKILL_LAYOUT:
        raise RecordError(f"record of layout {fields['layout']}: expected {lib.OOMKILL_LAYOUT}")
    if fields["size"] != len(data):
        raise RecordError(f"record of {len(data)} bytes claims to have {fields['size']}")
    if fields["kind"] not in KINDS:
        raise RecordError(f"record of unknown kind {fields['kind']}")
    for name in ("sequence", "incident", "boot_ns"):
        if not fields[name]:  # they begin above 0
            raise RecordError(f"record has no {name}")
    return fields


def is_part(data: bytes) -> bool:
    """Tell whether a record, of whatever layout, is a part of a kill's that follows."""
    kind = HEADER.offsets["kind"]
    return len(data) > kind and data[kind] in PARTS


def victim(data: bytes) -> dict[str, Any]:
    """Return a victim record's fields, and as ``strings`` the bytes its paths lie in.

    ``flags`` are 0 where they are unknown.
    """
    if len(data) < VICTIM.size:
        raise RecordError(f"victim record of {len(data)} bytes: expected at least {VICTIM.size}")
    fields = VICTIM.unpack(data)
    fields["flags"] = fields["flags"] or 0
    fields["strings"] = data[VICTIM.size :]
    return fields


def before(data: bytes) -> dict[str, Any]:
    """Return the fields of a record of kind OOMKILL_BEFORE; its series are bytes."""
    if len(data) != BEFORE.size:
        raise RecordError(f"record of {len(data)} bytes before a kill: expected {BEFORE.size}")
    return BEFORE.unpack(data)


def shortage(data: bytes) -> dict[str, Any]:
    """Return the fields of a record of kind OOMKILL_SHORTAGE."""
    if len(data) != SHORTAGE.size:
        raise RecordError(f"record of {len(data)} bytes of a shortage: expected {SHORTAGE.size}")
    return SHORTAGE.unpack(data)


def stack(data: bytes) -> dict[str, Any]:
    """Return the fields of a record of kind OOMKILL_STACK; its frames are bytes."""
    if len(data) != STACK.size:
        raise RecordError(f"record of {len(data)} bytes of a stack: expected {STACK.size}")
    return STACK.unpack(data)


def stack_names(data: bytes) -> list[bytes]:
    """Return the names of a record of kind OOMKILL_STACK_NAMES, each with what follows its NUL."""
    if len(data) != STACK_NAMES.size:
        raise RecordError(f"record of {len(data)} bytes of a stack: expected {STACK_NAMES.size}")
    fields = STACK_NAMES.unpack(data)
    used = min(fields["used"] or 0, lib.OOMKILL_STACK_DEPTH)
    size = lib.OOMKILL_SYMBOL_LEN
    return [fields["names"][at : at + size] for at in range(0, used * size, size)]


def user_stack(data: bytes) -> list[dict[str, Any]]:
    """Return the frames of a record of kind OOMKILL_USER_STACK."""
    if len(data) != USER_STACK.size:
        raise RecordError(f"record of {len(data)} bytes of a stack: expected {USER_STACK.size}")
    fields = USER_STACK.unpack(data)
    used = min(fields["used"] or 0, lib.OOMKILL_USER_STACK_DEPTH)
    return _first(USER_FRAME, fields["frames"], used)


def node(data: bytes) -> dict[str, Any]:
    """Return the fields of a record of kind OOMKILL_NODE.

    ``nodes``: each with its ``zones``; ``shares``: the cgroups; ``strings``: their paths' bytes.
    """
    if len(data) < NODE.size:
        raise RecordError(f"record of {len(data)} bytes of a node: expected at least {NODE.size}")
    fields = NODE.unpack(data)
    fields["strings"] = data[NODE.size :]
    fields["flags"] = fields["flags"] or 0
    nodes = _first(NUMA_NODE, fields["nodes"], min(fields["nodes_used"] or 0, lib.OOMKILL_NODES))
    for each in nodes:
        count = min(each["zones_used"] or 0, lib.OOMKILL_ZONES)
        each["zones"] = _first(ZONE, each["zones"], count)
    fields["nodes"] = nodes
    count = min(fields["shares_used"] or 0, lib.OOMKILL_SHARES)
    fields["shares"] = _first(SHARE, fields["shares"], count)
    return fields


def candidates(data: bytes, count: int) -> list[dict[str, Any]]:
    """Return the first ``count`` of a victim record's ``candidates``."""
    return _first(CANDIDATE, data, count)


def children(data: bytes, count: int) -> list[dict[str, Any]]:
    """Return the first ``count`` of a victim record's ``children``."""
    return _first(CHILD, data, count)


def _first(layout: Layout, data: bytes, count: int) -> list[dict[str, Any]]:
    size = layout.size
    return [layout.unpack(data[at : at + size]) for at in range(0, count * size, size)]
