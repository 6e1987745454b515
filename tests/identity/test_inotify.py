# SPDX-License-Identifier: Apache-2.0
"""inotify itself: what rings, what does not, and what the kernel has to drop."""

from __future__ import annotations

import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_oomkill.identity.inotify import Inotify

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    made = Inotify()
    yield made
    made.close()
    made.close()


def rings(inotify: Inotify) -> bool:
    poll = select.poll()
    poll.register(inotify, select.POLLIN)
    rang = bool(poll.poll(50))
    inotify.read()
    return rang


def test_what_comes_goes_and_moves_rings(inotify: Inotify, tmp_path: Path) -> None:
    inotify.watch([str(tmp_path)])
    assert not rings(inotify)
    (tmp_path / "a").mkdir()
    assert rings(inotify)
    (tmp_path / "a").rename(tmp_path / "b")
    assert rings(inotify)
    (tmp_path / "b").rmdir()
    assert rings(inotify)
    file = tmp_path / "file"
    file.touch()
    assert rings(inotify)
    file.write_text("what is in it does not matter")
    assert not rings(inotify)


def test_the_way_to_a_folder_that_is_not_there(inotify: Inotify, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    for above in (tmp_path, tmp_path / "a", tmp_path / "a" / "b"):
        inotify.watch([str(folder)])
        rings(inotify)  # the end of the watch before may
        assert not rings(inotify)
        next(each for each in (*reversed(folder.parents), folder) if not each.exists()).mkdir()
        assert rings(inotify), above
    inotify.watch([str(folder)])
    rings(inotify)
    (folder / "d").mkdir()
    assert rings(inotify)
    (tmp_path / "other").mkdir()  # no longer watched
    assert not rings(inotify)


def test_a_file_in_the_way_and_a_folder_out_of_reach(inotify: Inotify, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    inotify.watch([str(tmp_path / "file" / "x"), str(tmp_path / "loop" / "x"), "/dev/null"])


def test_a_full_queue_is_told(inotify: Inotify, tmp_path: Path) -> None:
    inotify.watch([str(tmp_path)])
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    for _ in range(int(QUEUE.read_text()) // 2 + 100):  # two events each, from one and to another
        here.rename(there)
        here, there = there, here
    assert inotify.read()
    assert not inotify.read()
