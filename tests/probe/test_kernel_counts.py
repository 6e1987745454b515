# SPDX-License-Identifier: Apache-2.0
"""The kernel's own counts, read while cgroups come and go."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from container_oomkill.probe.kernel_counts import _memory_cgroups, counts_by_cgroup, seen_so_far

PATH_MAX = 4000  # a longer one cannot be opened, with the name of a file behind it


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


def test_cgroups_without_the_memory_controller_are_not_looked_through(tmp_path: Path) -> None:
    """Of cgroup v1 the controllers have a tree each; of v2 a cgroup has what all above it have."""
    for controller in ("cpu", "memory"):
        (tmp_path / controller / "pod" / "app").mkdir(parents=True)
    counted = tmp_path / "memory" / "pod" / "app"
    for folder in (tmp_path / "memory", counted.parent, counted):
        (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    hidden = tmp_path / "cpu" / "pod" / "app" / "deeper"
    hidden.mkdir()
    (hidden / "memory.oom_control").write_text("oom_kill 9\n")  # no kernel has it there
    found = {path: kills for path, _, kills, _ in counts_by_cgroup(str(tmp_path))}
    assert found == {"/": 2, "/pod": 2, "/pod/app": 2}


def test_the_tree_of_this_machine_is_what_a_walk_through_all_of_it_finds() -> None:
    root = "/sys/fs/cgroup"

    def walked() -> set[str]:
        files = {"memory.events.local", "memory.oom_control"}
        found = {folder for folder, _, names in os.walk(root) if files & set(names)}
        return {folder for folder in found if len(folder) < PATH_MAX}

    def read() -> set[str]:
        return {folder for folder, *_ in _memory_cgroups(root)}

    before, found, after = walked(), read(), walked()
    assert before & after <= found  # others come and go meanwhile


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
