# SPDX-License-Identifier: Apache-2.0
"""One container's kills: a row for all, which time it was, the one before and the one after."""

from __future__ import annotations

import re
import time

import pytest

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.incident.before import Before
from container_oomkill.incident.model import Incident
from container_oomkill.web.page.kills import Kills, by_container

from ...support.http_client import ask, get, make_exporter
from ...support.incidents import HOSTILE, TIME, container, incident, now

HOUR = 3600.0


def text(exporter: Exporter, path: str = "/") -> str:
    body = ask(exporter.addresses[0], get(path)).body.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def kills(*hours: float, dropped_at: float | None = None) -> Kills:
    """Kills at these hours, newest first."""
    made = [incident(number, time=TIME + hour * HOUR) for number, hour in enumerate(hours, 1)]
    return Kills(made, dropped_at)


@pytest.mark.parametrize(
    ("hours", "watched_since", "expected"),
    [
        ((0,), -100, "first time in 24 h"),
        ((0,), -3, "first known kill"),
        ((0, -30), -100, "first time in 24 h"),
        ((0, -30), -3, "first time in 24 h"),  # of an earlier run
        ((0, -1), -100, "2nd time in 24 h"),
        ((0, -1, -2), -100, "3rd time in 24 h"),
        ((0, *range(-1, -11, -1)), -100, "11th time in 24 h"),
        ((0, *range(-1, -21, -1)), -100, "21st time in 24 h"),
    ],
)
def test_which_time_it_was(hours: tuple[float, ...], watched_since: float, expected: str) -> None:
    made = kills(*hours)
    assert made.how_often(made.latest, TIME + watched_since * HOUR) == expected


def test_which_time_it_was_at_least_where_some_had_to_go() -> None:
    made = kills(0, -1, dropped_at=TIME - 2 * HOUR)
    assert made.how_often(made.latest, 0.0) == "at least the 2nd time in 24 h"
    made = kills(0, -1, dropped_at=TIME - 30 * HOUR)
    assert made.how_often(made.latest, 0.0) == "2nd time in 24 h"


def test_an_earlier_one_counts_what_was_before_it() -> None:
    made = kills(0, -1, -2)
    assert made.how_often(made.incidents[1], 0.0) == "2nd time in 24 h"


def test_the_one_before_and_the_one_after() -> None:
    made = kills(0, -1, -2)
    newest, middle, oldest = made.incidents
    assert (made.earlier(newest), made.later(newest)) == (middle, None)
    assert (made.earlier(middle), made.later(middle)) == (oldest, newest)
    assert (made.earlier(oldest), made.later(oldest)) == (None, middle)


def test_a_restarted_container_is_the_same_one_in_another_pod_is_not() -> None:
    def made(number: int, **changes: str) -> Incident:
        return incident(number, container=container("app", **changes))

    given = [made(3, pod="other-1"), made(2, id="cd" * 32), made(1)]
    assert [[each.sequence for each in its.incidents] for its in by_container(given, {})] == [
        [3],
        [2, 1],
    ]


def test_one_row_for_a_container_with_all_its_kills(exporter: Exporter) -> None:
    for number, age in enumerate((9600, 7900, 4000, 60), 1):
        exporter.sink(now(number, age=age, container=container("loop")))
    exporter.sink(now(5, age=30, container=container("quiet")))
    shown = text(exporter)
    assert "2 containers, 5 incidents" in shown
    assert "5 incidents of 2 containers, the last one" in shown
    assert "4 times in 24 h" in shown
    assert "Earlier: 67 min ago , 2 h ago , 3 h ago" in shown
    body = ask(exporter.addresses[0], get("/")).body.decode()
    assert body.count("<li>") == 2
    assert len(re.findall('href="/incidents/[^"]+"', body)) == 5


def test_more_kills_than_a_row_has_room_for(exporter: Exporter) -> None:
    for number in range(1, 21):
        exporter.sink(now(number, age=1000 - number))
    assert ", and 13 more" in text(exporter)


def test_what_had_to_go_is_counted_as_at_least() -> None:
    with make_exporter(max_incidents=256, watched_since=time.time() - 1e6) as exporter:
        exporter.start()
        exporter.sink(now(1, age=7000, container=container("quiet")))
        for number in range(2, 102):
            exporter.sink(now(number, age=6000 - number, container=container("loop")))
        shown = text(exporter)
        assert "at least 32 times in 24 h" in shown
        assert "first time in 24 h" in shown
        latest = ask(exporter.addresses[0], get("/api/v1/incidents?limit=1")).json()["incidents"][0]
        name = f"{latest['boot_ns']:x}-{latest['sequence']}"
        shown = text(exporter, f"/incidents/{name}")
        assert "at least the 32nd time in 24 h" in shown
        assert "32 kills of this container" in shown
        assert "And 12 more: the API has them." in shown


def test_a_page_leads_to_the_kill_before_and_after(exporter: Exporter) -> None:
    made = [now(number, age=4000 - 900 * number) for number in range(1, 4)]
    for each in made:
        exporter.sink(each)
    first, middle, last = (
        ask(exporter.addresses[0], get(f"/incidents/{each.id}")).body.decode() for each in made
    )
    earlier = f'<a rel="prev" href="/incidents/{made[0].id}">← Previous kill, 15 min earlier</a>'
    later = f'<a rel="next" href="/incidents/{made[2].id}">Next kill, 15 min later →</a>'
    assert earlier in middle
    assert later in middle
    assert 'rel="prev"' not in first
    assert 'rel="next"' not in last
    assert "2nd time in 24 h" in middle


def test_one_kill_has_no_list(exporter: Exporter) -> None:
    exporter.sink(now(1))
    assert "kills of this container" not in text(exporter, f"/incidents/{now(1).id}")


def test_kills_of_more_than_a_day_ago(exporter: Exporter) -> None:
    for number, age in enumerate((200_000, 100_000), 1):
        exporter.sink(now(number, age=age))
    assert "2 times, none in 24 h" in text(exporter)


def test_a_filter_that_the_form_has_no_field_for_is_said_and_kept(exporter: Exporter) -> None:
    exporter.sink(now(1, age=9000, container=container("older")))
    exporter.sink(now(2, age=60, container=container("newer")))
    shown = text(exporter, "/?since=1h&namespace=shop")
    assert "1 container, 1 of 2 incidents, since 1h" in shown
    body = ask(exporter.addresses[0], get("/?since=1h")).body.decode()
    assert '<input type="hidden" name="since" value="1h">' in body


def test_the_shape_of_the_last_kills_and_their_rhythm(exporter: Exporter) -> None:
    for number in range(1, 6):
        exporter.sink(now(number, age=36_060 - 7200 * number, before=Before(shape="leak")))
    exporter.sink(now(6, age=20, before=Before(shape="spike")))
    exporter.sink(now(7, age=10, container=container("quiet"), before=Before(shape="spike")))
    assert "spike, after leak 5 times in a row" in text(exporter)
    assert text(exporter).count("spike, ") == 1  # of one kill the verdict says it
    assert "spike, after leak 5 times in a row" in text(exporter, f"/incidents/{_id(6)}")
    fifth = text(exporter, f"/incidents/{_id(5)}")
    assert "5th time in 24 h leak, 5th time in a row, every 2 h" in fifth
    assert fifth.count("python3 leak") == 5  # in the list of kills
    first = text(exporter, f"/incidents/{_id(1)}")
    assert "first time in 24 h leak" not in first


def test_a_rhythm_is_not_said_where_there_is_none(exporter: Exporter) -> None:
    for number, age in enumerate((40_000, 30_000, 9000, 60), 1):
        exporter.sink(now(number, age=age, before=Before(shape="leak")))
    shown = text(exporter)
    assert "leak, 4th time in a row" in shown
    assert "every" not in shown


def test_a_shape_of_a_later_version_is_shown_as_text(exporter: Exporter) -> None:
    for number in (1, 2):
        exporter.sink(now(number, age=100 - number, before=Before(shape=HOSTILE)))
    for path in ("/", f"/incidents/{_id(2)}"):
        body = ask(exporter.addresses[0], get(path)).body.decode()
        assert "<script>alert" not in body
        assert "\u202e" not in body.partition("Raw record")[0]


def _id(number: int) -> str:
    return now(number).id
