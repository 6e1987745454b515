# SPDX-License-Identifier: Apache-2.0
"""What a page says first: what died, whose it was, what ran out, who asked; and whole sentences."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from hypothesis import given, settings

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.incident.model import Child, Container, Incident, Trigger
from container_oomkill.web.page.cards import candidates
from container_oomkill.web.page.children import children
from container_oomkill.web.page.headline import headline, title, what_ran_out
from container_oomkill.web.page.words import SENTENCE_MAX, limit_size, sentence

from ...support.any_incident import INCIDENTS
from ...support.browser.examples import examples
from ...support.http_client import ask, get
from ...support.incidents import HOSTILE, MIB, container, incident, now, victim

EXAMPLES = examples()


def words(nodes: object) -> str:
    return unescape(re.sub(r"<[^>]+>", "", str(nodes)))


def said(incident: Incident) -> str:
    import htpy as h

    return words(h.h1[headline(incident)])


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        ("pod", "redis (shop/cart) was OOM-killed: pod limit 72 MiB reached, asked for by app"),
        ("own", "shop-worker-1 was OOM-killed: its own limit 256 MiB reached"),
        ("node", "capture (shop/ids-x8kq2) was OOM-killed: the node ran out of memory"),
        ("tmpfs", "web (shop/web-0) was OOM-killed: pod limit 64 MiB reached"),
        ("lowered", "app (shop/app-0) was OOM-killed: its own limit lowered to 44.9 MiB by runc"),
        ("unknown", "database was OOM-killed: its own limit 96 MiB apparently reached"),
        ("sysrq", "nginx.service was OOM-killed: requested by sysrq"),
        ("group", "postgres (shop/pg-2) was OOM-killed: its own limit 64 MiB reached"),
    ],
)
def test_examples(example: str, expected: str) -> None:
    assert said(EXAMPLES[example]) == expected


def test_the_title_is_the_headlines_start() -> None:
    assert title(EXAMPLES["pod"]) == "redis (shop/cart) was OOM-killed"


def test_what_nothing_is_known_of() -> None:
    made = incident(
        scope=None, domain=None, container=Container(), victims=(victim(command=None, cgroup=None),)
    )
    assert said(made) == "A process was OOM-killed: cause unknown"


def test_an_asker_without_a_name() -> None:
    made = incident(trigger=Trigger(1, 1, "x", "/docker/" + "cd" * 32, "cd" * 32))
    assert said(made).endswith("reached, asked for by another container")


def test_memory_and_swap_have_one_limit() -> None:
    domain = incident().domain
    assert domain is not None
    both = replace(
        domain,
        usage_bytes=100 * MIB,
        swap_usage_bytes=60 * MIB,
        swap_limit_bytes=32 * MIB,
    )
    words_ = what_ran_out(incident(domain=both))
    assert words_ == "its own limit of memory and swap 160 MiB reached"


@pytest.mark.parametrize(
    ("bytes_", "expected"),
    [
        (72 * MIB, "72 MiB"),
        (0, "0 MiB"),
        (45 * MIB - 104858, "44.9 MiB"),
        (4096 * MIB, "4 GiB"),
        (1536 * MIB, "1536 MiB"),
        (12800 * MIB, "12.5 GiB"),
    ],
)
def test_a_limit_as_people_set_it(bytes_: int, expected: str) -> None:
    assert limit_size(bytes_) == expected


def test_a_verdict_is_whole_on_both_pages(exporter: Exporter) -> None:
    for number, each in enumerate(EXAMPLES.values(), 1):
        made = now(number, container=each.container, verdict=each.verdict)
        exporter.sink(made)
        for path in ("/", f"/incidents/{made.id}"):
            text = words(ask(exporter.addresses[0], get(path)).body.decode())
            verdict = each.verdict or ""
            assert verdict in text or verdict[:1].upper() + verdict[1:] in text


def test_a_verdict_without_end_ends_after_a_clause() -> None:
    clause = "x" * 400
    shown = words(sentence("; ".join([clause] * 9)))
    assert shown == "; ".join([clause] * 3) + " …"
    hostile = words(sentence(f"killed {HOSTILE}"))
    assert hostile.startswith("killed <script>alert(1)</script>\\u{202e}\\x1b[31m")
    assert len(hostile) == SENTENCE_MAX + 2


def test_each_container_of_the_pod_with_what_it_held() -> None:
    shown = words(children(EXAMPLES["pod"]))
    assert shown == (
        "Which container held it"
        "app asked36.0 MiB of its 64 MiBredis killed35.0 MiBthe pod's sandbox0.5 MiB"
    )


def test_what_no_living_container_held() -> None:
    pod = EXAMPLES["pod"]
    assert pod.domain is not None
    assert pod.domain.stat is not None
    stat = replace(pod.domain.stat, gone_bytes=20 * MIB)
    shown = words(children(pod.changed(domain=replace(pod.domain, stat=stat))))
    assert shown.endswith("no living container20.0 MiB")


@pytest.mark.parametrize("example", ["own", "tmpfs", "node"])
def test_no_comparison_of_one(example: str) -> None:
    assert children(EXAMPLES[example]) is None


def test_an_unknown_usage_is_no_zero() -> None:
    pod = EXAMPLES["pod"]
    assert pod.domain is not None
    two = tuple(Child(f"/{name}", container=container(name)) for name in "ab")
    shown = words(children(pod.changed(domain=replace(pod.domain, children=two))))
    assert shown == "Which container held itaunknownbunknown"


def test_whose_the_spared_are() -> None:
    shown = words(candidates(EXAMPLES["pod"], {}))
    assert "python3 pid 5120 of app" in shown
    assert "pause pid 4600 of the pod's sandbox" in shown


@settings(max_examples=50)
@given(INCIDENTS)
def test_any_incident_has_a_headline_and_its_comparison(made: Incident) -> None:
    assert "was OOM-killed: " in said(made)
    shown = str(children(made) or "")
    assert 'width="-' not in shown
    assert "nan" not in shown
