# SPDX-License-Identifier: Apache-2.0
"""What waits in the history: it outlives the process; what the history drops is counted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.sending.backlog import Backlog
from container_oomkill.sending.waiting import Item

from ..support.history import files_no_larger_than, opened
from ..support.incidents import container, incident


class Follower:
    """A history with a backlog; `restarted` is the next process."""

    def __init__(self, path: Path, **changes: Any) -> None:
        self.dropped = 0
        self.file = opened(path, **changes)
        self.file.load()
        self.queue = Backlog(self.file, str(path), "otlp", size=256, on_dropped=self.drop)

    def drop(self, incidents: int) -> None:
        self.dropped += incidents

    def kill(self, *numbers: int, name: str = "app") -> None:
        for number in numbers:
            self.file(incident(number, container=container(name)))

    def settle(self, items: list[Item]) -> None:
        self.queue.settled([each.number for each in items])

    def take(self, most: int = 1000) -> list[Item]:
        return self.queue.take(most)


def numbers(items: list[Item]) -> list[int]:
    return [each.incident.sequence for each in items]


def test_it_gives_what_comes_in_order_and_once(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "history")
    with closing(follower.file):
        assert follower.take() == []
        follower.kill(*range(1, 8))
        first, second = follower.take(3), follower.take()
        assert numbers(first) == [1, 2, 3]
        assert numbers(second) == [4, 5, 6, 7]
        assert follower.queue.depth() == 7
        follower.settle(first)
        assert follower.queue.depth() == 4
        follower.settle(second)
        assert (follower.queue.depth(), follower.dropped) == (0, 0)
        assert first[0].incident == incident(1, container=container("app"))


def test_the_next_process_goes_on_where_this_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "history"
    follower = Follower(path)
    with closing(follower.file):
        follower.kill(1, 2, 3, 4)
        follower.settle(follower.take(2))
        follower.take(1)  # under way when it is killed
        follower.kill(5)
    follower = Follower(path)
    with closing(follower.file):
        assert follower.queue.depth() == 3
        assert numbers(follower.take()) == [3, 4, 5]


def test_what_was_there_before_it_was_asked_for_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "history"
    with closing(opened(path)) as file:
        file(incident(1))
    follower = Follower(path)
    with closing(follower.file):
        follower.kill(2)
        assert numbers(follower.take()) == [2]


def test_nothing_settled_yet_is_remembered_too(tmp_path: Path) -> None:
    path = tmp_path / "history"
    with closing(Follower(path).file) as file:
        file(incident(1))
    follower = Follower(path)
    with closing(follower.file):
        assert numbers(follower.take()) == [1]


@pytest.mark.parametrize("settled", [0, 3, 30, 39])
def test_what_the_history_drops_is_counted_and_the_place_is_kept(
    tmp_path: Path, settled: int
) -> None:
    """The file is replaced by a smaller one, twice and more, while the receiver is down."""
    path = tmp_path / "history"
    follower = Follower(path, max_incidents=20)
    with closing(follower.file):
        follower.kill(*range(1, 40))
        follower.settle(follower.take(settled))
        follower.kill(*range(40, 100))
        sent = numbers(follower.take())
        assert sent == sorted(set(sent))
        assert sent[-1] == 99
        assert len(sent) + follower.dropped == 99 - settled
        follower.settle([])
        waiting = follower.queue.depth()
    again = Follower(path, max_incidents=20)
    with closing(again.file):
        assert again.queue.depth() == waiting
        assert numbers(again.take()) == sent


def test_a_place_that_is_gone_means_all_of_it_again(tmp_path: Path) -> None:
    path = tmp_path / "history"
    follower = Follower(path)
    with closing(follower.file):
        follower.kill(1, 2, 3)
        follower.settle(follower.take())
    for damaged in (b'{"id": "ffff-1"}\n', b"{", b"[]", b"\xff", b'{"id": 3}'):
        (tmp_path / "history.otlp-sent").write_bytes(damaged)
        follower = Follower(path)
        with closing(follower.file):
            assert numbers(follower.take()) == [1, 2, 3]


def test_what_the_disk_does_not_take_is_sent_nevertheless(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history"
    follower = Follower(path)
    with closing(follower.file):
        follower.kill(1)
        with files_no_larger_than(path.stat().st_size + 10):
            follower.kill(2)
        follower.kill(3)
        items = follower.take() + follower.take()
        assert sorted(numbers(items)) == [1, 2, 3]
        follower.settle(items)
        assert follower.queue.depth() == 0
    assert f"write the history {path}: file too large" in capfd.readouterr().err


def test_a_line_that_was_damaged_since_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "history"
    follower = Follower(path)
    with closing(follower.file):
        follower.kill(1, 2)
        data = bytearray(path.read_bytes())
        data[data.index(b'"verdict"') + 2] ^= 1
        path.write_bytes(bytes(data))  # in place: the same file
        assert numbers(follower.take()) == [2]
        assert follower.dropped == 1


def test_a_container_in_a_loop_costs_no_other_its_place(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "history", max_incidents=20)
    with closing(follower.file):
        follower.kill(1, name="quiet")
        follower.kill(*range(2, 200), name="loop")
        names = [each.incident.container.name for each in follower.take()]
        assert names.count("quiet") == 1
