# SPDX-License-Identifier: Apache-2.0
"""The newest incidents of all nodes, in as few pages as that takes; and every way not to answer."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from container_oomkill.fleet.asking import AT_ONCE
from container_oomkill.fleet.exporters import find_exporters
from container_oomkill.fleet.gather import PAGE_LEAST, Gathered, gather
from container_oomkill.incident.model import Incident
from container_oomkill.kubernetes.access import Access
from container_oomkill.kubernetes.api import Api
from container_oomkill.sinks.query import Query

from ..support.fleet_server import Fleet, Node, many, serving
from ..support.incidents import TIME, container, incident

PATIENCE = 30.0  # seconds, where every node answers
IMPATIENCE = 0.3


def node(name: str, *seconds: float, **more: Any) -> Node:
    """Its incidents, by when they were, after `TIME`."""
    its = [
        incident(n, time=TIME + at, boot_ns=n, node=name, container=container(f"{name}-{at:g}"))
        for n, at in enumerate(sorted(seconds), 1)
    ]
    return Node(name, its[::-1], **more)


@contextmanager
def asking(fleet: Fleet) -> Iterator[Api]:
    with serving(fleet) as url, closing(Api(Access(url), connections=AT_ONCE)) as api:
        yield api


def gathered(
    fleet: Fleet, most: int = 1000, query: Query | None = None, seconds: float = PATIENCE
) -> Gathered:
    with asking(fleet) as api:
        found = gather(api, find_exporters(api), query or Query(), most=most, seconds=seconds)
        found.incidents()
        return found


def names(of: Gathered) -> list[str | None]:
    return [each.container.name for each in of.incidents()]


def test_the_newest_of_all_nodes_newest_first() -> None:
    fleet = Fleet(node("a", 1, 5, 9), node("b", 2, 8), node("c"))
    found = gathered(fleet)
    assert names(found) == ["a-9", "b-8", "a-5", "b-2", "a-1"]
    assert (found.missing, found.nodes) == ([], 3)
    assert names(gathered(fleet, most=2)) == ["a-9", "b-8"]
    assert [each.node for each in found.found] == ["a", "b", "a", "b", "a"]


def test_a_node_in_a_loop_is_asked_for_more_pages_and_the_others_are_not() -> None:
    """Exactly the newest, wherever they are."""
    old = [node(f"old-{number}", *range(-500, -440)) for number in range(5)]
    fleet = Fleet(node("busy", *range(100)), *old)
    found = gathered(fleet, most=100)
    assert names(found) == [f"busy-{at}" for at in range(99, -1, -1)]
    pages = Counter(path.split("/")[6] for path, _ in fleet.asked if "/proxy/" in path)
    assert pages.pop("oomkill-busy:9262") == 4  # of 2 x 100 / 6 nodes
    assert set(pages.values()) == {1}
    assert {fields["limit"] for path, fields in fleet.asked if "/proxy/" in path} == {"33"}


def test_of_two_hundred_nodes_each_gives_little() -> None:
    fleet = many(200, 12)
    found = gathered(fleet, most=400)
    times = [each.time for each in found.found]
    everything = sorted(
        (each.time for node in fleet.nodes.values() for each in node.incidents), reverse=True
    )
    assert times == pytest.approx(everything[:400], abs=1e-5)
    asked = [fields for path, fields in fleet.asked if "/proxy/" in path]
    assert len(asked) == 200
    assert {fields["limit"] for fields in asked} == {str(PAGE_LEAST)}


def test_the_filters_are_the_exporters_own() -> None:
    fleet = Fleet(node("a", 1, 5, 9), node("b", 2, 8))
    assert names(gathered(fleet, query=Query(container="A-"))) == ["a-9", "a-5", "a-1"]
    since = Query.parse({"since": str(TIME + 4), "until": str(TIME + 9)}, TIME)
    assert names(gathered(fleet, query=since)) == ["b-8", "a-5"]
    assert gathered(fleet, query=Query(node="none")).found == []


def test_how_long_ago_is_by_our_clock() -> None:
    fleet = many(1, 5)
    gathered(fleet, query=Query.parse({"since": "1h"}, 1_800_000_000.0))
    assert fleet.asked[-1][1]["since"] == "1799996400.000000"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hang", "timed out"),
        ("trickle", "timed out"),
        ("cut", "Connection broken|IncompleteRead|connection"),
        (403, "no right to get pods/proxy in namespace container-oomkill"),
        (401, "demands a user .* kubectl port-forward"),
        (404, "404 error trying"),
        (421, "--web.allowed-host"),
        (503, "503 error trying to reach service: .* no route to host"),
        (b"<html>", "unexpected response: "),
        (b'{"incidents": {}}', "unexpected response: "),
        (b'{"incidents": [{"id": "1-1", "time": "2026-11-30T0', "unexpected response: "),
        (b'{"incidents": [{"id": "1-1", "time": "noon"}]}', "unexpected response: time 'noon'"),
        (b'{"incidents": [{"id": "1-1", "time": "2026-11-30T00:00:00Z", "schema": 2}]}',
         "unexpected record '1-1': schema: expected 1, found 2"),
        (b'{"incidents": [{"id": "1-1", "time": "2026-11-30T00:00:00Z", "schema": 1}]}',
         "unexpected record '1-1': time: |unexpected record '1-1': boot_ns"),
    ],
)  # fmt: skip
def test_a_node_that_does_not_answer_is_missing_and_the_others_are_there(
    fault: int | str | bytes, words: str
) -> None:
    fleet = Fleet(node("a", 1), node("b", 2, fault=fault), node("c", 3))
    found = gathered(fleet, seconds=1.0 if fault in ("hang", "trickle") else PATIENCE)
    assert names(found) == ["c-3", "a-1"]
    (missing,) = found.missing
    assert missing.node == "b"
    (note,) = found.notes()
    assert note.startswith("missing: 1 of 3 nodes (b): ")
    assert re.search(words, note), note
    assert "\n" not in note
    assert not found.denied()


def test_a_cluster_in_which_nobody_answers_takes_as_long_as_said() -> None:
    """Four times the time of one, however many there are."""
    fleet = Fleet(*(Node(f"n{number}", fault="hang") for number in range(8 * AT_ONCE)))
    found = gathered(fleet, seconds=IMPATIENCE)
    (note,) = found.notes()
    assert note == "missing: 256 of 256 nodes (n0, n1, n10 and 253 more): timed out"
    assert len({path for path, _ in fleet.asked if "/proxy/" in path}) <= 5 * AT_ONCE


def test_a_busy_api_server_is_asked_again() -> None:
    fleet = Fleet(node("a", 1, busy=3), node("b", 2))
    assert names(gathered(fleet)) == ["b-2", "a-1"]


def test_a_pod_that_does_not_run_or_is_not_ready_is_said() -> None:
    fleet = Fleet(node("a", 1, phase="Pending"), node("b", 2, ready=False), node("c", 3))
    found = gathered(fleet)
    assert names(found) == ["c-3", "b-2"]
    assert [*found.notes()] == [
        "missing: 1 of 3 nodes (a): its exporter's pod is Pending",
        "missing: 1 of 3 nodes (b): its exporter is not ready: it may not have seen every kill",
    ]


def test_without_the_right_to_ask_anybody() -> None:
    fleet = Fleet(node("a", 1), node("b", 2))
    fleet.may_proxy = False
    found = gathered(fleet)
    assert found.denied()
    assert not gathered(Fleet(node("a", 1), node("b", 2, fault=403))).denied()


def test_a_page_that_moved_on_gives_no_record_twice() -> None:
    """A kill between two pages: the next page begins with the last record of the one before."""
    its = node("a", *range(40))
    fleet = Fleet(its, node("b", 1))
    newest = its.incidents.pop(0)

    class Moving(list[Incident]):
        """Gains an incident after the first page was read."""

        def __iter__(self) -> Iterator[Incident]:
            moved = any("page" in fields for _, fields in fleet.asked)
            return iter([newest, *super().__iter__()]) if moved else super().__iter__()

    its.incidents = Moving(its.incidents)
    found = gathered(fleet, most=20)
    ids = [(each.node, each.id) for each in found.found]
    assert len(ids) == len(set(ids)) == 20


def test_what_is_kept_is_the_records_and_not_the_answers() -> None:
    """Of a cluster with long answers, what does not come first is let go."""
    found = gathered(many(4, 100), most=10)
    assert sum(len(each.data) for each in found.found) < 10 * 16_000
    assert all(type(each.data) is bytes for each in found.found)
    assert time.time() - found.found[0].time < 3600
