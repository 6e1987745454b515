# SPDX-License-Identifier: Apache-2.0
"""Our names of gfp masks against those of this kernel's log."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from container_oomkill.sinks.gfp import gfp_names

from ..support.kernel.cgroups import Cgroup
from ..support.kernel.processes import Hog

INVOKED = re.compile(r"gfp_mask=(0x[0-9a-f]+)\(([^)]+)\), order=")


def logged() -> dict[int, str]:
    """Every mask in the kernel's log and its names there."""
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    found: dict[int, str] = {}
    try:
        while True:
            try:
                record = os.read(log, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                return found
            except BrokenPipeError:  # overwritten before it was read
                continue
            if shown := INVOKED.search(record):
                found[int(shown[1], 16)] = shown[2]
    finally:
        os.close(log)


def test_they_are_the_kernels(
    make_cgroups: Callable[..., list[Cgroup]], hog: Callable[..., Hog]
) -> None:
    (cgroup,) = make_cgroups("/oomkill-gfp")
    cgroup.limit(32)
    assert hog(cgroup, "name gfp anon 64").was_killed()
    masks = logged()
    assert masks
    for mask, names in masks.items():
        ours = gfp_names(mask)
        # in whatever order: some kernels have __GFP_ZERO before __GFP_COMP
        assert "0x" in ours or sorted(ours.split("|")) == sorted(names.split("|"))
