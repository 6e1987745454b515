# SPDX-License-Identifier: Apache-2.0
"""The kernel's own counts, read while cgroups come and go."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from container_oomkill.probe.kernel_counts import counts_by_cgroup, seen_so_far


def cgroup(folder: Path, kills: int) -> Path:
    folder.mkdir()
    (folder / "memory.events.local").write_text(f"oom {kills}\noom_kill {kills}\n")
    return folder


def test_those_with_any_are_told_by_path_and_id(tmp_path: Path) -> None:
    pod = cgroup(tmp_path / "pod", 0)
    app = cgroup(pod / "app", 3)
    assert list(counts_by_cgroup(str(tmp_path))) == [("/pod/app", app.stat().st_ino, 3, 3)]


def test_a_cgroup_that_goes_while_its_count_is_read_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    root.mkdir()
    stays = cgroup(root / "stays", 1)
    goes = root / "goes"
    goes.mkdir()
    counts = goes / "memory.events.local"
    os.mkfifo(counts)

    def go() -> None:
        with counts.open("w") as file:  # once somebody reads
            goes.rename(tmp_path / "gone")
            file.write("oom_kill 2\n")

    going = threading.Thread(target=go)
    going.start()
    assert list(counts_by_cgroup(str(root))) == [("/stays", stays.stat().st_ino, 1, 1)]
    going.join()


def test_a_name_that_is_not_utf8_is_that_of_the_record(tmp_path: Path) -> None:
    """Or one cgroup would have two labels: of earlier kills, and of those seen."""
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    cgroup(Path(os.fsdecode(folder)), 2)
    (found,) = counts_by_cgroup(str(tmp_path))
    assert (found[0], found[2]) == ("/caf\\xe9", 2)
    found[0].encode("utf-8")


def test_never_more_is_told_than_the_kernel_has_counted() -> None:
    assert seen_so_far(4, 4) == 4
    assert seen_so_far(4, 3) == 3  # the second visit to a process that was gone
    assert seen_so_far(4, 9) == 4
    assert seen_so_far(4, -1) == 0
    assert seen_so_far(4, None) == 4
