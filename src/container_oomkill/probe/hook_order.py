# SPDX-License-Identifier: Apache-2.0
"""In which order the hooks are tried: what the kernel is sure to refuse comes last.

To load and relocate all programs of a hook takes ten times as long as asking whether the kernel has
what the hook is made of. Such a hook is tried nevertheless where no other attaches, for the
kernel's own words.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..libbpf import CoreTypes

FUNCTION = "oom_kill_process"
# Where libbpf makes a kprobe: the kernel's own kind of perf event (4.17), or a file of tracefs.
KPROBES = (
    "bus/event_source/devices/kprobe/type",
    "kernel/debug/tracing/kprobe_events",
    "kernel/tracing/kprobe_events",
)


def in_order(hooks: Iterable[str], types: CoreTypes, sys: str = "/sys") -> list[str]:
    """Return the hooks in the order given, those last that cannot be attached."""
    return sorted(hooks, key=lambda hook: is_refused(hook, types, sys))


def is_refused(hook: str, types: CoreTypes, sys: str = "/sys") -> bool:
    """Whether this kernel is sure to refuse it. If not, trying alone can tell."""
    if hook == "fentry":
        return types.takes_fentry(FUNCTION) is False
    return hook == "kprobe" and not any(os.path.exists(f"{sys}/{name}") for name in KPROBES)
