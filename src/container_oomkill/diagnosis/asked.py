# SPDX-License-Identifier: Apache-2.0
"""Takes the kernel's functions on the trigger's stack, gives what it was doing: ``trigger.by``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..incident import kernel_symbols as kernel

if TYPE_CHECKING:
    from ..incident.model import Incident

SYSRQ_ORDER = -1
WEAK = (kernel.PAGE_CACHE, kernel.READS, kernel.WRITES, kernel.OBJECT)

FILES = {kernel.READS: kernel.FILE_READ, kernel.WRITES: kernel.FILE_WRITE}

# What it was doing, in words; a page fault is what anybody would expect.
DOING = {
    kernel.FILE_READ: "to read a file",
    kernel.FILE_WRITE: "to write a file",
    kernel.TMPFS: "for tmpfs or shared memory",
    kernel.SOCKET: "to send or receive",
    kernel.FORK: "to start a process or a thread",
    kernel.KERNEL: "for an object of the kernel's",
}


def find_by(incident: Incident) -> str | None:
    """Return one of `kernel_symbols.BY`; None where nothing on the stack tells.

    The innermost function that proves something decides: a buffer that write() reads may have to be
    faulted in, and then the page fault asked.
    """
    if incident.oom.order == SYSRQ_ORDER:
        return kernel.SYSRQ
    stack = incident.trigger.stack
    if stack is None or stack.kernel is None:
        return None
    roles = [role for name in stack.kernel if (role := kernel.ROLES.get(name)) is not None]
    for role in roles:
        if role not in WEAK:
            return role
    if kernel.PAGE_CACHE in roles:  # of a file system that has a way of its own
        return next((FILES[role] for role in roles if role in FILES), None)
    return kernel.KERNEL if kernel.OBJECT in roles else None
