# SPDX-License-Identifier: Apache-2.0
"""Queues of several kinds of record as one: none takes another's place, and each is on disk."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from container_oomkill.history.form import KILLS
from container_oomkill.incident.model import Incident
from container_oomkill.killers.model import Kill
from container_oomkill.sending.backlog import Backlog
from container_oomkill.sending.several import Several
from container_oomkill.sending.waiting import MemoryQueue
from container_oomkill.sinks.kill_names import kill_key

from ..support.history import opened
from ..support.incidents import incident
from ..support.kills import kill


def numbered(number: int) -> Kill:
    return replace(kill(), boot_ns=number)


def in_memory(size: int) -> tuple[Several, list[int]]:
    dropped: list[int] = []
    kills = MemoryQueue(size, dropped.append, key=kill_key)
    return Several({Incident: MemoryQueue(size, dropped.append), Kill: kills}), dropped


def test_a_flood_of_one_kind_costs_no_other_its_place() -> None:
    queue, dropped = in_memory(20)
    queue.add(incident(1))
    for number in range(1000):
        queue.add(numbered(number))
    taken = queue.take(1000)
    assert taken[0].incident == incident(1)
    assert all(isinstance(each.incident, Kill) for each in taken[1:])
    assert len(taken) - 1 + sum(dropped) == 1000
    assert queue.depth() == len(taken)
    queue.settled([each.number for each in taken])
    assert (queue.depth(), queue.close()) == (0, 0)


def test_no_more_are_given_than_asked_for() -> None:
    queue, _ = in_memory(20)
    for number in range(3):
        queue.add(numbered(number))
        queue.add(incident(number))
    assert [type(each.incident) for each in queue.take(4)] == [Incident] * 3 + [Kill]
    assert [type(each.incident) for each in queue.take(4)] == [Kill] * 2
    queue.settled([None] * 4)
    assert queue.depth() == 2


class OnDisk:
    """An exporter's two histories, and a queue that follows both."""

    def __init__(self, folder: Path) -> None:
        self.incidents = opened(folder / "history")
        self.kills = opened(folder / "history.kills", form=KILLS)
        for each in (self.incidents, self.kills):
            each.load()
        first = Backlog(self.incidents, str(folder / "history"), "otlp", size=256)
        second: Any = Backlog(
            self.kills,
            str(folder / "history.kills"),
            "otlp",
            size=256,
            form=KILLS,
            on_more=first.wake,
        )
        self.queue = Several({Incident: first, Kill: second})

    def close(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(closing(self.incidents))
            stack.enter_context(closing(self.kills))


def test_each_outlives_the_process(tmp_path: Path) -> None:
    with closing(OnDisk(tmp_path)) as disk:
        for number in range(1, 4):
            disk.incidents(incident(number))
            disk.kills(numbered(number))
        items = disk.queue.take(4)
        disk.queue.settled([each.number for each in items])
        assert [each.incident for each in items] == [
            *(incident(number) for number in range(1, 4)),
            numbered(1),
        ]
        disk.queue.take(1)  # under way when it is killed
    with closing(OnDisk(tmp_path)) as disk:
        assert disk.queue.depth() == 2
        assert [each.incident for each in disk.queue.take(9)] == [numbered(2), numbered(3)]


def test_whatever_comes_wakes_who_waits(tmp_path: Path) -> None:
    with closing(OnDisk(tmp_path)) as disk:
        woken = threading.Event()

        def wait() -> None:
            while not disk.queue.take(1):
                disk.queue.wait(None)
            woken.set()

        thread = threading.Thread(target=wait)
        thread.start()
        disk.kills(numbered(1))
        assert woken.wait(60)
        thread.join()
