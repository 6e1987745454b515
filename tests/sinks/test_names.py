# SPDX-License-Identifier: Apache-2.0
"""One container has one name, wherever it is shown, counted, or asked for."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html import unescape

import pytest

from container_oomkill.cli.show import show_incidents
from container_oomkill.exporter.exporter import label_key
from container_oomkill.incident.model import Container, Incident
from container_oomkill.metrics.metrics import label_values
from container_oomkill.sinks.formats import open_sink
from container_oomkill.sinks.names import (
    container_name,
    full_name,
    name_of,
    owner_of,
    short_id,
    what_ran_out,
)
from container_oomkill.sinks.query import Query
from container_oomkill.web.page import cards
from container_oomkill.web.page.filters import Filter
from container_oomkill.web.page.overview import _who_and_why

from ..support.incidents import MIB, container, incident, victim

HEX = "ab" * 32
UNIT = "/system.slice/cron.service"
NAMES: list[tuple[Container, str | None, str | None]] = [
    (container("app"), "/x", "app"),
    (Container(id=HEX, name="web-1"), "/docker/" + HEX, "web-1"),
    (Container(id=HEX), "/docker/" + HEX, "abababababab"),
    (Container(id=HEX, name=""), "/docker/" + HEX, "abababababab"),
    (container(None), "/kubepods/pod1/" + HEX, "abababababab"),
    (Container(id="ctr-by-hand-1"), "/default/x", "ctr-by-hand-1"),
    (Container(id="x" * 64), "/default/x", "x" * 64),  # as long as one, and no hexadecimal id
    (Container(), UNIT, "cron.service"),
    (Container(), "/", "/"),
    # A path that was cut may end inside a container, with any name.
    (Container(), "…/x/bank", None),
    (Container(), "/system.slice/…/x/bank", None),
    (Container(), None, None),
]


def text(given: Incident) -> str:
    stream = io.StringIO()
    open_sink("text", stream)(given)
    return stream.getvalue().splitlines()[0]


def listed(given: Incident) -> str:
    stream = io.StringIO()
    show_incidents([given], stream, wanted=None, colour="never")
    return stream.getvalue().splitlines()[1].split()[3]


def title(given: Incident) -> str:
    stream = io.StringIO()
    show_incidents([given], stream, wanted=given.id, colour="never")
    return stream.getvalue().splitlines()[0].split()[1]


def on_page(given: Incident) -> str:
    found = re.search(r'<a href="/incidents/[^>]+>(.+?)</a>', _who_and_why(given, "/"))
    assert found
    return unescape(re.sub("<.+?>", "", found[1]))


@pytest.mark.parametrize(("whose", "cgroup", "name"), NAMES)
def test_the_same_container_has_the_same_name_everywhere(
    whose: Container, cgroup: str | None, name: str | None
) -> None:
    given = incident(container=whose, victims=(victim(cgroup=cgroup),))
    assert container_name(whose, cgroup) == name_of(given) == name
    known = [part for part in (whose.namespace, whose.pod, name) if part]
    full = "/".join(known) or "unknown container"
    assert full_name(given) == full
    if len(full) <= 40:  # longer ones are cut, where there is less room
        assert text(given)[len("00:00:00  ") :].startswith(f"OOM  {full}  ")
        assert name is None or listed(given) == title(given) == full
        assert on_page(given) == (name or "unknown")

    labels = whose.namespace or "", whose.pod or "", name or "unknown"
    assert label_values(given) == labels
    assert label_key(whose, cgroup) == labels  # of a container that runs, and of earlier kills

    if name is not None:
        assert Query(container=name).matches(given)
        assert Filter(container=name).matches(given)
    assert not Query(container="another").matches(given)
    assert not Filter(container="another").matches(given)


def test_who_asked_is_shown_by_the_same_start_of_its_id() -> None:
    given = incident(container=container("app", id="cd" * 32))
    assert given.trigger.container_id == HEX
    assert f">{short_id(HEX)}<" in str(cards.trigger(given, {}))
    by_hand = given.trigger.__class__(1, 1, "x", "/default/x", "ctr-by-hand-number-1")
    assert ">ctr-by-hand-number-1<" in str(cards.trigger(given.changed(trigger=by_hand), {}))


def test_the_limit_of_memory_and_swap_is_told_from_memorys() -> None:
    domain = incident().domain
    assert domain is not None
    swapping = replace(
        domain, usage_bytes=100 * MIB, swap_usage_bytes=60 * MIB, swap_limit_bytes=32 * MIB
    )
    both = incident(domain=swapping)
    assert what_ran_out(both) == "limit 160.0 MiB of memory and swap reached (its own)"
    assert what_ran_out(incident()) == "limit 128.0 MiB reached (its own)"


@pytest.mark.parametrize(
    ("cgroup", "namespace", "owner"),
    [
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope", None, "user 1000"),
        ("/user.slice/user-1000.slice/session-1.scope", "shop", "user 1000"),
        ("/capsule.slice/capsule@lab.service/app.slice/a.scope", None, "capsule lab"),
        ("/capsule.slice/capsule@lab.service", None, ""),
        ("/kubepods/user.slice/user-1000.slice/a", "shop", "namespace shop"),
        ("/system.slice/cron.service", None, ""),
        (None, None, ""),
    ],
)
def test_whoever_fills_a_slice_owns_what_is_in_it(
    cgroup: str | None, namespace: str | None, owner: str
) -> None:
    """As identity/resolver.py has it: no name in these slices is the system's."""
    assert owner_of(container("web", namespace=namespace), cgroup) == owner
