# SPDX-License-Identifier: Apache-2.0
"""Has the kernel count its passes of reclaim in each memory cgroup: how long memory was short.

Takes the BPF object and the map that the hooks read at a kill. Two programs on tracepoints, which
every kernel has that any hook works on, fill it (bpf/reclaim.bpf.h). They are loaded by themselves,
after the hooks: where a kernel refuses them, nothing else is missing.
"""

from __future__ import annotations

from .. import libbpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .recorder import Maps

PROGRAMS = ("reclaim_end", "reclaim_begin")  # the end first: it takes no begin for granted
SHARED_MAP = "reclaims"  # the hooks' as well
OWN_MAPS = ("passes",)
MAX_CGROUPS = 1024  # 130 bytes each; those in which memory was reclaimed last


def attach(
    data: bytes, types: libbpf.CoreTypes, constants: bytes, hooks: libbpf.LoadedObject | Maps
) -> dict[str, libbpf.Link]:
    """Load and attach them; return the links, by the program's name.

    ``constants``: those of the ``hooks``, whose map they fill. Raises `BpfError` where the kernel
    refuses them.
    """
    with libbpf.open_object(data, "oomkill", types) as opened:
        opened.choose(PROGRAMS)
        opened.keep_maps((SHARED_MAP, *OWN_MAPS))
        opened.share_map(SHARED_MAP, hooks.map_fd(SHARED_MAP))
        opened.configure(constants)
        loaded = opened.load()
    links: dict[str, libbpf.Link] = {}
    try:
        for program in PROGRAMS:
            links[program] = loaded.attach(program)
    except BaseException:
        for link in links.values():
            link.close()
        raise
    finally:
        loaded.close()  # programs and maps last as long as a link
    return links
