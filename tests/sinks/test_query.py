# SPDX-License-Identifier: Apache-2.0
"""The one query of pages, API, `show` and `probe`: what matches, and what is refused in words."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from container_oomkill.incident.before import Before
from container_oomkill.incident.model import Container, Domain
from container_oomkill.sinks.query import LIMIT, Query, parse_query

from ..support.incidents import TIME, container, incident, victim

ID = "ab" * 32
GIVEN = incident(
    7,
    time=TIME,
    node="node-1.example",
    scope="pod",
    container=container(
        "app", id=ID, namespace="shop", pod="cart-1", workload="Deployment/cart", service="Basket"
    ),
    victims=(victim(cgroup="/kubepods.slice/pod1.slice/c1.scope/inner"),),
    domain=Domain("/kubepods.slice/pod1.slice"),
    before=Before(shape="leak"),
)


def asked(text: str, now: float = TIME) -> Query:
    return Query.parse(dict(parse_qsl(text, keep_blank_values=True)), now)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("namespace=SHO", True),
        ("namespace=shop-2", False),
        ("pod=cart&container=ap", True),
        ("pod=cart&container=db", False),
        ("container=basket", True),
        (f"container={ID[:4]}", True),
        (f"container={ID.upper()}", True),
        ("container=aba", False),  # too little of an id
        ("container=bab", False),
        ("workload=deployment/cart", True),
        ("node=node-1", True),
        ("node=node-2", False),
        ("scope=pod", True),
        ("scope=node", False),
        ("shape=leak", True),
        ("shape=spike", False),
        ("id=12a05f200-7", True),
        ("id=12a05f", True),
        ("id=2a05f", False),
        ("cgroup=/kubepods.slice", True),
        ("cgroup=/kubepods.slice/pod1.slice/c1.scope/inner/", True),
        ("cgroup=/kubepods", False),
        ("cgroup=/pod1.slice", False),  # a path, and not that one
        ("cgroup=pod1.slice", True),
        ("cgroup=c1.scope/inner", True),
        ("cgroup=c1", False),
        ("since=1h", True),
        ("until=1h", False),
        ("since=7", False),
        ("since=6", True),
        ("pod=&scope=&since=&utm=x", True),
    ],
)
def test_what_matches(text: str, matches: bool) -> None:
    assert asked(text).matches(GIVEN) is matches


def test_nothing_unknown_matches_a_part_of_a_name() -> None:
    unknown = incident(container=Container(), scope=None, domain=None)
    for text in ("namespace=n", "pod=none", "workload=x", "scope=node", "shape=leak"):
        assert not asked(text).matches(unknown)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", TIME - 90),
        ("30m", TIME - 1800),
        ("1h", TIME - 3600),
        ("2d", TIME - 172800),
        (f"{TIME + 0.5}", TIME + 0.5),
        (datetime.fromtimestamp(TIME, UTC).isoformat(), TIME),
        (datetime.fromtimestamp(TIME, UTC).isoformat().replace("+", " "), TIME),
    ],
)
def test_times(text: str, seconds: float) -> None:
    query = Query.parse({"since": text, "until": text}, TIME)
    assert query.after_time == query.before_time == pytest.approx(seconds)
    assert query.after_sequence is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scope=moon", "scope 'moon': expected one of container, pod, "),
        ("shape=round", "shape 'round': expected one of limit_lowered, plateau, leak, "),
        ("since=-1h", "since '-1h': expected RFC 3339, .* or a sequence"),
        ("until=7x", "until '7x': expected RFC 3339"),
        ("until=²h", "until"),
        ("since=" + "9" * 400 + "d", "since '9{40}'"),
        ("until=2026-09-21T14:13:48", "until"),
    ],
)
def test_nonsense(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        asked(text)


def test_its_link_asks_the_same() -> None:
    query = asked(
        "namespace=a b&cgroup=/x/y&since=1h&until=2026-01-01T00:00:00Z&scope=cgroup&shape=leak&id=1"
    )
    link = query.link("/incidents", 2)
    path, text = urlsplit(link).path, urlsplit(link).query
    assert path == "/incidents"
    assert asked(text) == query
    assert ("page", "2") in parse_qsl(text)
    assert Query().link("/") == "/"


def test_as_many_as_were_asked_for_of_one_start() -> None:
    before = [incident(number) for number in (3, 2, 1)]
    newest_first = [incident(2), incident(1), *before]
    assert Query(limit=2).select(newest_first) == newest_first[:2]
    assert Query(after_sequence=1).select(newest_first) == [newest_first[0]]
    assert len(Query().select(newest_first)) == 5
    assert parse_query({"limit": "5000"}, limit_max=1000, now=TIME).limit == 1000
    assert parse_query({}, limit_max=1000, now=TIME).limit == LIMIT
