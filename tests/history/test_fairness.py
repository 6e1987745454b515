# SPDX-License-Identifier: Apache-2.0
"""A container in a loop pushes no other one out: of the pages, the API, `show`, the history."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.exporter.exporter import Exporter, ExporterSettings
from container_oomkill.history.fair import choose, most_of_each
from container_oomkill.history.history import History
from container_oomkill.incident.model import Incident
from container_oomkill.sinks import json_lines
from container_oomkill.sinks.names import container_key
from container_oomkill.sinks.query import Query

from ..support.history import opened
from ..support.http_client import ask, get
from ..support.incidents import BOOT_NS, TIME, Clock, FakeProbe, container, incident, victim
from ..support.waiting import PATIENCE_SECONDS

KILLS, EVERY_SECONDS, DAY_SECONDS = 300, 240.0, 86400.0


def kill(number: int, name: str, *, victims: int = 1) -> Incident:
    """As many seconds after the first as it is later."""
    return incident(
        number,
        time=TIME + number * EVERY_SECONDS,
        boot_ns=BOOT_NS + number,
        container=container(name),
        victims=(victim(),) * victims,
    )


def sequences(history: History) -> list[int]:
    return [each.sequence for each in history.find(Query(limit=1000))]


def test_one_kill_beside_300_of_another_is_everywhere_a_day_later(tmp_path: Path) -> None:
    quiet = kill(1, "quiet")
    kills = [quiet, *(kill(number, "loop") for number in range(2, KILLS + 2))]
    clock = Clock(TIME)
    with made(clock) as exporter:
        exporter.start()
        for each in kills:
            clock.now = each.time
            exporter.sink(each)
        clock.now += DAY_SECONDS
        is_everywhere(exporter, quiet)
    path = tmp_path / "history"
    with closing(opened(path, max_incidents=100)) as file:  # rewritten twice
        for each in kills:
            file(each)
    with made(clock, history=str(path)) as exporter:
        kept = exporter.keep()
        assert kept is not None
        kept.close()
        exporter.start()
        is_everywhere(exporter, quiet)


def made(clock: Clock, **settings: Any) -> Exporter:
    return Exporter(
        ExporterSettings(listen_addresses=("127.0.0.1:0",), **settings),
        FakeProbe(),
        version="1",
        render=json_lines.render,
        wall=clock,
        node="node-1",
    )


def is_everywhere(exporter: Exporter, quiet: Incident) -> None:
    address = exporter.addresses[0]
    overview = ask(address, get("/")).body.decode()
    assert f'href="/incidents/{quiet.id}"' in overview
    assert "page 1 of" not in overview
    assert ask(address, get(f"/incidents/{quiet.id}")).status == 200
    answer = ask(address, get("/api/v1/incidents")).json()
    assert quiet.id in [each["id"] for each in answer["incidents"]]
    assert answer["next"] is None
    command = [sys.executable, "-m", "container_oomkill", "show", "--url", f"http://{address}"]
    listed = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
    ).stdout
    assert quiet.id in listed
    assert "quiet" in listed


def test_a_loop_has_at_most_its_part() -> None:
    history = History(256)
    for number in range(1, 101):
        history(kill(number, "loop"))
    assert sequences(history) == list(range(100, 68, -1))
    assert most_of_each(256) == 32
    assert most_of_each(1000) == 125
    assert most_of_each(4) == 4


def test_of_several_the_one_with_most_gives_way() -> None:
    history = History(4)
    for number, name in enumerate(("a", "b", "b", "b", "c", "c", "c"), 1):
        history(kill(number, name))
    assert sequences(history) == [7, 6, 4, 1]
    history(kill(8, "d"))
    assert sequences(history) == [8, 7, 4, 1]
    history(kill(9, "e"))  # each has one: the oldest goes
    assert sequences(history) == [9, 8, 7, 4]


def test_a_thousand_names_of_one_user_cost_no_other_its_incident(tmp_path: Path) -> None:
    """Each in a cgroup of the user's own, as anybody may have: no name costs anything."""
    quiet = kill(1, "quiet")
    mine = "/user.slice/user-4242.slice/user@4242.service/app.slice/libpod-{0:064x}.scope"
    loops = [
        replace(kill(number, f"evil-{number}"), victims=(victim(cgroup=mine.format(number)),))
        for number in range(2, 302)
    ]
    history = History(100)
    for each in (quiet, *loops):
        history(each)
    assert sequences(history)[-1] == 1
    path = tmp_path / "history"
    with closing(opened(path, max_incidents=100)) as file:
        for each in (quiet, *loops):
            file(each)
    with closing(opened(path, max_incidents=100)) as file:
        assert file.load()[0].sequence == 1


def test_large_groups_of_one_cost_no_other_its_incident() -> None:
    history = History(4)  # 32 victims
    history(kill(1, "small"))
    for number in range(2, 5):
        history(kill(number, "large", victims=20))
    assert sequences(history) == [4, 3, 1]
    history(kill(5, "larger", victims=3000))  # more than is kept of all: while it is the latest
    assert sequences(history) == [5, 4, 1]
    history(kill(6, "small"))
    assert sequences(history) == [6, 4, 1]


def test_from_when_on_all_are_here() -> None:
    history = History(3)
    for number, name in enumerate(("quiet", "loop", "loop", "loop", "loop"), 1):
        history(kill(number, name))
    assert sequences(history) == [5, 4, 1]
    assert history.kept_since() == kill(4, "loop").time
    assert history.dropped() == {container_key(kill(1, "loop")): kill(3, "loop").time}


def test_a_file_that_let_some_go_says_so_of_who_had_most() -> None:
    history = History(8)
    for number, name in enumerate(("quiet", "loop", "loop", "loop"), 1):
        history(kill(number, name))
    history.begin_late()
    assert history.kept_since() == kill(2, "loop").time
    assert set(history.dropped()) == {container_key(kill(2, "loop"))}


@pytest.mark.parametrize("max_bytes", [1 << 16, 1 << 20])
def test_the_file_keeps_each_ones_latest(tmp_path: Path, max_bytes: int) -> None:
    path = tmp_path / "history"
    with closing(opened(path, max_incidents=20, max_bytes=max_bytes)) as file:
        for number in range(1, 10):
            file(kill(number, f"quiet-{number}"))
        for number in range(10, 110):
            file(kill(number, "loop", victims=5))
            assert path.stat().st_size <= max_bytes
    with closing(opened(path, max_incidents=20, max_bytes=max_bytes)) as file:
        kept = [each.sequence for each in file.load()]
        assert file.had_more
    assert kept[:9] == list(range(1, 10))
    assert kept[9:] == list(range(kept[9], 110))


def test_records_of_a_later_version_are_their_containers(tmp_path: Path) -> None:
    path = tmp_path / "history"
    later = json_lines.render(kill(1, "later")).replace('"schema":1', '"schema":2')
    path.write_text(f"{later}\n")
    with closing(opened(path, max_incidents=4)) as file:
        for number in range(2, 30):
            file(kill(number, "loop"))
    assert path.read_text().startswith(f"\n{later}\n")


def test_nobody_has_more_than_another_whose_items_had_to_go() -> None:
    items = [("a", 5), ("b", 1), ("b", 1), ("a", 5), ("b", 1), ("c", 9)]
    names = [item[0] for item in items]

    def staying(room: int, *, by_weight: bool) -> list[int]:
        numbers = range(len(items))
        weigh = (lambda n: items[n][1]) if by_weight else (lambda _: 1)
        return choose(numbers, lambda n: ("", names[n]), room=room, weigh=weigh)

    assert staying(3, by_weight=False) == [3, 4, 5]
    assert staying(5, by_weight=False) == [0, 2, 3, 4, 5]
    assert staying(8, by_weight=True) == [1, 2, 3, 4]
    assert staying(100, by_weight=True) == [0, 1, 2, 3, 4, 5]


def test_a_container_is_the_same_after_a_restart() -> None:
    first = kill(1, "app")
    assert container_key(first) == ("namespace shop", "shop", "cart-7d9f4", "app")
    again = replace(first, container=replace(first.container, id="cd" * 32))
    assert container_key(again) == container_key(first)
