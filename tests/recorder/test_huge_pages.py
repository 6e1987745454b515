# SPDX-License-Identifier: Apache-2.0
"""Whether cgroups are charged for huge pages: by the mount, as the kernel writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_oomkill.recorder.huge_pages import are_charged

V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate"


@pytest.mark.parametrize(
    ("lines", "charged"),
    [
        (f"proc /proc proc rw 0 0\n{V2},memory_hugetlb_accounting 0 0\n", True),
        (f"{V2},memory_recursiveprot 0 0\n", False),
        (f"{V2},memory_hugetlb_accounting_of_another 0 0\n", False),
        ("x /memory_hugetlb_accounting tmpfs rw,memory_hugetlb_accounting 0 0\n", False),
        ("cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\nnonsense\n\n", False),
        ("", False),
    ],
)
def test_are_charged(tmp_path: Path, lines: str, charged: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(lines)
    assert are_charged(str(mounts)) is charged


def test_without_proc_nobody_is(tmp_path: Path) -> None:
    assert not are_charged(str(tmp_path / "none"))
