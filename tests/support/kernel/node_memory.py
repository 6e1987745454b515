# SPDX-License-Identifier: Apache-2.0
"""Has the kernel read the node's memory by hand, as it would at a node-wide kill."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from container_oomkill import libbpf
from container_oomkill.incident import wire
from container_oomkill.incident.node_decoder import decode_node
from container_oomkill.incident.node_memory import NodeMemory
from container_oomkill.probe.object_file import read_object

PROGRAM = "node_read"
MAP = "node_memory"
SIZE = wire.ffi.sizeof("struct oomkill_node")


@contextlib.contextmanager
def node_reader() -> Iterator[Callable[[], NodeMemory]]:
    """Yield what reads it; it needs programs that are run by hand (5.14)."""
    page = os.sysconf("SC_PAGE_SIZE")
    settings = wire.config(
        hook=wire.lib.OOMKILL_HOOK_RAW_TRACEPOINT,
        cpus=libbpf.possible_cpus(),
        pages_slack=0,
        page_size=page,
        cmdline=False,
    )
    libbpf.capture_log(debug=False)
    with (
        libbpf.CoreTypes(None) as types,
        libbpf.open_object(read_object(), "node", types) as opened,
    ):
        opened.choose((PROGRAM,))
        opened.configure(settings)
        loaded = opened.load()
    with loaded, libbpf.Shared(loaded.map_fd(MAP), SIZE) as shared:

        def read() -> NodeMemory:
            assert loaded.run(PROGRAM) == 0
            data = shared.read()
            return decode_node(wire.node(data[: wire.HEADER.unpack(data)["size"]]), page)

        yield read
