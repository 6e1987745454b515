# SPDX-License-Identifier: Apache-2.0
"""What is left to the whole matrix where two kernels stand for all (OOMKILL_TEST_QUICK)."""

from __future__ import annotations

import os

# A kprobe runs fentry's program at fentry's place; attaching and arguments are its own.
OF_THE_KPROBE = {
    "refused",
    "test_gfp_names",
    "test_groups",
    "test_groups_and_marks",
    "test_hook_order",
    "test_kills",
    "test_limit_lowered",
    "test_names",
    "test_node",
    "test_processes",
    "test_rights",
    "test_traced",
    "test_verifier",
}


# The flight recorder's walk and what is attached beside it, by the kernel's own counts: no hook's
# program has a part in it.
BESIDE_THE_HOOKS = {"test_stuck", "test_stuck_huge_pages"}


def left_to_the_whole_matrix(module: str, hook: str | None) -> str | None:
    """Return why this test of that module (its last name) is left out; None if it is not."""
    if not os.environ.get("OOMKILL_TEST_QUICK") or hook in (None, "fentry"):
        return None
    if module in BESIDE_THE_HOOKS:
        return "no hook has a part in it: where two kernels stand for all, fentry shows it"
    if hook == "kprobe" and module not in OF_THE_KPROBE:
        return "a kprobe runs fentry's program: where two kernels stand for all, fentry shows it"
    return None
