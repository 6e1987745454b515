# SPDX-License-Identifier: Apache-2.0
"""Has the kernel tell of SIGBUS for a huge page that a cgroup's limit has no room for.

Takes the BPF object and the flight recorder's maps, as it is the recorder that knows when an
episode is over. A program on the tracepoint signal_generate (bpf/huge_page.bpf.h), loaded only
where cgroups are charged for such pages: every signal of the machine passes it. It ends with this
process, pinned hooks or not.
"""

from __future__ import annotations

from .. import libbpf
from .recorder import STUCK_MAPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .recorder import Maps

PROGRAM = "huge_page_refused"
OPTION = "memory_hugetlb_accounting"  # of a cgroup2 mount, since v6.7
MOUNTS = "/proc/self/mounts"


def are_charged(mounts: str = MOUNTS) -> bool:
    """Tell whether cgroups are; False also where there is no cgroup2 to see."""
    try:
        with open(mounts, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - before pathlib
            found = [line.split() for line in file]
    except OSError:
        return False
    return any(
        len(fields) > 3 and fields[2] == "cgroup2" and OPTION in fields[3].split(",")
        for fields in found
    )


def attach(
    data: bytes, types: libbpf.CoreTypes, constants: bytes, recorder: libbpf.LoadedObject | Maps
) -> libbpf.Link:
    """Load and attach it. Raises `BpfError` where the kernel refuses it."""
    with libbpf.open_object(data, "oomkill", types) as opened:
        opened.choose((PROGRAM,))
        opened.keep_maps(STUCK_MAPS)
        for name in STUCK_MAPS:
            opened.share_map(name, recorder.map_fd(name))
        opened.configure(constants)
        loaded = opened.load()
    try:
        return loaded.attach(PROGRAM)
    finally:
        loaded.close()  # program and maps last as long as the link
