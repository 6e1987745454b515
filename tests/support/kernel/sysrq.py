# SPDX-License-Identifier: Apache-2.0
"""Sysrq-f, in a guest only: the kernel kills whom it likes best."""

from __future__ import annotations

import os
from pathlib import Path


def kill_by_sysrq() -> None:
    """Have a worker of the kernel kill the one with the most points."""
    assert os.environ.get("OOMKILL_TEST_GUEST"), "it may kill anybody on this machine"
    Path("/proc/sysrq-trigger").write_text("f")
