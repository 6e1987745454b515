# SPDX-License-Identifier: Apache-2.0
"""Takes a BPF object's bytes, gives attached programs, maps and a ring buffer to read.

libbpf through cffi; nothing in here knows what the programs are for. The states are types, so
that no step can be taken too early: `open_object()` -> `OpenObject` -> `.load()` ->
`LoadedObject` -> `.attach()` -> `Link`. Each of them is closed by ``with`` or ``close()``.
"""

from .core_types import CoreTypes
from .maps import PinnedMaps, Shared, make_shared, map_memory, pin
from .object import Link, LoadedObject, OpenObject, open_object
from .ring import Ring
from .status import capture_log, possible_cpus, version

__all__ = [
    "CoreTypes",
    "Link",
    "LoadedObject",
    "OpenObject",
    "PinnedMaps",
    "Ring",
    "Shared",
    "capture_log",
    "make_shared",
    "map_memory",
    "open_object",
    "pin",
    "possible_cpus",
    "version",
]
