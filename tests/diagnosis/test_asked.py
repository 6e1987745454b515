# SPDX-License-Identifier: Apache-2.0
"""What a trigger was doing, by stacks as kernels of all ages have them."""

from __future__ import annotations

import pytest

from container_oomkill.diagnosis.asked import find_by
from container_oomkill.incident.kernel_symbols import BY, ROLES
from container_oomkill.incident.model import Oom, Trigger
from container_oomkill.incident.stack import Stack
from container_oomkill.sinks.names import BY as WORDS

from ..support.incidents import incident

# As seen, innermost first; what is not in the table is left out of a record.
STACKS = {
    "do_anonymous_page handle_mm_fault exc_page_fault": "page_fault",
    "do_swap_page handle_mm_fault": "page_fault",
    "filemap_fault handle_mm_fault exc_page_fault": "file_read",
    "filemap_add_folio page_cache_ra_unbounded filemap_read vfs_read": "file_read",
    "filemap_add_folio iomap_file_buffered_write vfs_write": "file_write",
    "obj_cgroup_charge generic_perform_write vfs_write": "file_write",
    "shmem_write_begin generic_perform_write vfs_write": "tmpfs",
    "shmem_fault handle_mm_fault exc_page_fault": "tmpfs",
    "handle_mm_fault exc_page_fault generic_perform_write vfs_write": "page_fault",
    "mem_cgroup_charge_skmem tcp_sendmsg sock_sendmsg": "socket",
    "obj_cgroup_charge_pages unix_stream_sendmsg sock_write_iter vfs_write": "socket",
    "obj_cgroup_charge_pages copy_process kernel_clone": "fork",
    "obj_cgroup_charge_pages anon_pipe_write vfs_write": "kernel",
    "obj_cgroup_charge": "kernel",
    "filemap_add_folio vfs_write": "file_write",  # a file system's own way
    "filemap_add_folio vfs_read": "file_read",
    "filemap_add_folio": None,
    "memory_max_write": "limit_write",
    "moom_callback": "sysrq",
    "vfs_write": None,
    "no_such_function": None,
    "": None,
}


@pytest.mark.parametrize(("functions", "by"), STACKS.items())
def test_a_stack(functions: str, by: str | None) -> None:
    trigger = Trigger(stack=Stack(kernel=tuple(functions.split())))
    assert find_by(incident(trigger=trigger)) == by


def test_without_a_stack_nobody_knows_but_of_sysrq() -> None:
    assert find_by(incident()) is None
    assert find_by(incident(trigger=Trigger(stack=Stack()))) is None
    assert find_by(incident(oom=Oom(order=-1))) == "sysrq"


def test_every_answer_is_given_and_has_words() -> None:
    assert set(BY) - {"kernel"} <= set(ROLES.values())
    assert set(BY) == set(WORDS) == set(filter(None, STACKS.values()))
