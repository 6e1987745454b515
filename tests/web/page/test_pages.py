# SPDX-License-Identifier: Apache-2.0
"""The pages as they are served: what is on them, and what is not."""

from __future__ import annotations

import gzip
import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from container_oomkill.exporter.exporter import Exporter
from container_oomkill.incident.model import Candidate, Container, Trigger, Victim
from container_oomkill.sinks.names import UNRESOLVED

from ...support.http_client import ask, get, make_exporter
from ...support.incidents import BOOT_NS, HOSTILE, MIB, MIXED_STAT, container, incident, now, victim


class Text(HTMLParser):
    """A page's text, its links, and what may not be there."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.scripts = 0
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.links += [values["href"] or ""] if "href" in values else []
        self.inline += [name for name in values if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" else []
        self.scripts += tag == "script"
        if tag == "script":
            assert (values["src"] or "").startswith("/assets/")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(exporter: Exporter, path: str = "/", status: int = 200) -> Text:
    answer = ask(exporter.addresses[0], get(path))
    assert answer.status == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Text(answer.body.decode())


def test_nothing_yet(exporter: Exporter) -> None:
    shown = page(exporter).text
    assert "No OOM kill in the last 24 hours" in shown
    assert "Watching since" in shown
    assert "not before" in shown


def test_nothing_yet_is_not_said_to_be_all_where_some_may_be_missing(exporter: Exporter) -> None:
    assert "The kernel has not run out of memory since this exporter started" in page(exporter).text
    exporter.lost("log")
    shown = page(exporter).text
    assert "No OOM kill known in the last 24 hours" in shown
    assert "Nothing has been recorded since this exporter started" in shown
    assert "has not run out of memory" not in shown


def test_what_had_to_go_is_not_taken_for_nothing() -> None:
    with make_exporter(max_incidents=3) as exporter:
        exporter.start()
        for number in range(1, 4):
            exporter.sink(now(number, age=3600 - number))
        assert "3 OOM kills in the last 24 hours" in page(exporter).text
        assert "At least" not in page(exporter).text
        exporter.sink(now(4))
        exporter.sink(now(5))
        body = ask(exporter.addresses[0], get("/")).body.decode()
        assert "At least 3 OOM kills in the last 24 hours" in Text(body).text
        assert "Only the latest are kept (--web.max-incidents), since " in Text(body).text
        assert "At least 3 matching OOM kills" in page(exporter, "/?scope=container").text


def test_before_what_is_kept_the_day_is_grey() -> None:
    with make_exporter(max_incidents=3, watched_since=time.time() - 2 * 86400) as exporter:
        exporter.start()
        exporter.sink(now(1, age=80000))
        assert "unwatched" not in ask(exporter.addresses[0], get("/")).body.decode()
        for number in range(2, 5):
            exporter.sink(now(number, age=3600 - number))
        body = ask(exporter.addresses[0], get("/")).body.decode()
        assert "<title>no longer kept</title>" in body
        assert re.search(r"Up to \d\d:\d\d: no longer kept", body)
        width = float(body.partition('class="unwatched" width="')[2].partition('"')[0])
        assert 900 <= width <= 920  # all but the last hour: 48 half hours are 960 wide


def test_what_went_more_than_a_day_ago_is_no_matter() -> None:
    with make_exporter(max_incidents=2) as exporter:
        exporter.start()
        for number, age in ((1, 300_000), (2, 200_000), (3, 60)):
            exporter.sink(now(number, age=age))
        shown = page(exporter).text
        assert "1 OOM kill in the last 24 hours" in shown
        assert "At least" not in shown
        assert "Only the latest" not in shown


def test_watched_since_attaching_not_since_serving() -> None:
    attached = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    with make_exporter(watched_since=attached.timestamp()) as exporter:
        exporter.start()
        assert (
            f"Watching since {attached:%Y-%m-%d %H:%M:%S} UTC , not before." in page(exporter).text
        )


def test_what_is_of_an_earlier_run_is_said_to_be(exporter: Exporter) -> None:
    exporter.sink(now(1, age=60))
    shown = page(exporter).text
    assert "1 OOM kill in the last 24 hours" in shown
    assert "UTC ; earlier incidents come from pinned hooks or the history." in shown
    assert "not before" not in shown


def test_an_incident_is_shown_newest_first(exporter: Exporter) -> None:
    exporter.sink(now(1, age=7300, container=container("older"), verdict="the first one"))
    exporter.sink(now(2, container=container("newer"), verdict="the second one"))
    shown = page(exporter)
    assert "2 OOM kills in the last 24 hours" in shown.text
    assert shown.text.index("newer") < shown.text.index("older")
    assert "the second one" in shown.text
    assert "own limit 128.0 MiB" in shown.text
    assert f"/incidents/{BOOT_NS + 2:x}-2" in shown.links


def test_the_probes_health_is_on_every_page(exporter: Exporter) -> None:
    exporter.sink(now())
    exporter.lost("log")
    for path in ("/", f"/incidents/{BOOT_NS + 1:x}-1", "/docs/verdicts.md", "/incidents/0-0"):
        answer = ask(exporter.addresses[0], get(path))
        shown = Text(answer.body.decode()).text
        assert "hook fentry" in shown
        assert "kernel 6.12.117" in shown
        assert "lost ▲ 1" in shown
        assert "unaccounted unknown" in shown
        assert "lost: records that could not be delivered (log 1). unaccounted: kills" in shown
        assert "could not be named. " in shown
        assert "watching" in shown


def test_not_watching_is_said() -> None:
    with make_exporter() as exporter:
        exporter.start()
        assert "not watching: the ring buffer is not being read" in page(exporter).text


@pytest.mark.parametrize(
    "path", ["/", "/incidents", f"/incidents/{BOOT_NS + 1:x}-1", "/docs/verdicts.md"]
)
def test_nothing_is_inline_nor_from_elsewhere(exporter: Exporter, path: str) -> None:
    exporter.sink(now())
    answer = ask(exporter.addresses[0], get(path))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    shown = Text(answer.body.decode())
    assert shown.inline == []
    assert shown.scripts == 1
    assert all(link.startswith(("/", "#")) for link in shown.links)


def test_every_link_leads_somewhere(exporter: Exporter) -> None:
    exporter.sink(now(scope="container"))
    seen: set[str] = set()
    waiting = {"/"}
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = ask(exporter.addresses[0], get(path))
        assert answer.status == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            links = (link.partition("#")[0] for link in Text(answer.body.decode()).links)
            waiting |= {link for link in links if link} - seen
    assert {"/metrics", "/docs/verdicts.md", f"/incidents/{BOOT_NS + 1:x}-1.json"} <= seen


class TestFilters:
    @pytest.fixture
    def filled(self, exporter: Exporter) -> Exporter:
        exporter.sink(now(1, container=container("cart", namespace="shop", pod="cart-1")))
        exporter.sink(now(2, container=container("redis", namespace="shop", pod="redis-0")))
        exporter.sink(
            now(3, container=container("cart", namespace="test", pod="cart-2"), scope="pod")
        )
        exporter.sink(now(4, container=Container(), scope="node", domain=None))
        return exporter

    @pytest.mark.parametrize(
        ("query", "sequences"),
        [
            ("", [4, 3, 2, 1]),
            ("?namespace=shop", [2, 1]),
            ("?namespace=SHOP&container=car", [1]),
            ("?pod=cart-", [3, 1]),
            ("?scope=node", [4]),
            ("?scope=pod&namespace=&pod=", [3]),
            ("?container=nothing", []),
            ("?utm=x&namespace=test", [3]),
        ],
    )
    def test_by_part_of_a_name_and_by_scope(
        self, filled: Exporter, query: str, sequences: list[int]
    ) -> None:
        shown = page(filled, "/" + query)
        links = [link for link in shown.links if link.startswith("/incidents/")]
        assert links == [f"/incidents/{BOOT_NS + each:x}-{each}" for each in sequences]
        if not sequences:
            assert "No matching incidents." in shown.text

    @pytest.mark.parametrize("query", ["?scope=moon", "?page=0", "?page=x", "?page=" + "9" * 400])
    def test_nonsense_is_refused_in_words(self, filled: Exporter, query: str) -> None:
        assert "Invalid request" in page(filled, "/" + query, status=400).text

    def test_a_filter_is_kept_from_page_to_page(self) -> None:
        with make_exporter(max_incidents=120) as exporter:
            exporter.start()
            for number in range(1, 121):
                exporter.sink(now(number, container=container(f"app-{number}")))
            first = page(exporter, "/?namespace=shop")
            assert "page 1 of 3" in first.text
            assert "/?namespace=shop&page=2" in first.links
            last = page(exporter, "/?namespace=shop&page=3")
            assert f"/incidents/{BOOT_NS + 1:x}-1" in last.links
            assert "There is no page 4." in page(exporter, "/?page=4").text


class TestIncident:
    def shown(self, exporter: Exporter, **changes: Any) -> str:
        exporter.sink(now(**changes))
        return page(exporter, f"/incidents/{BOOT_NS + 1:x}-1").text

    def test_verdict_and_who(self, exporter: Exporter) -> None:
        shown = self.shown(exporter, verdict="its own limit (128.0 MiB): all of it")
        assert "Its own limit (128.0 MiB): all of it" in shown
        who = "in container app , pod cart-7d9f4 , namespace shop , image registry/cart:1.2"
        assert f"Killed: python3 pid 4711, {who}" in shown

    def test_killed_is_named_where_the_verdict_names_nobody(self, exporter: Exporter) -> None:
        shown = self.shown(
            exporter,
            verdict="its own limit (16.0 MiB): 99 % (15.9 MiB) is the kernel's own memory",
            victims=(victim(command="piper", pid=7, cgroup="/apart"), victim(pid=8)),
            container=Container(),
        )
        assert "Killed: piper pid 7 and 1 other, in no known container, in /apart" in shown

    @pytest.mark.parametrize("reason", UNRESOLVED)
    def test_why_a_container_has_no_name(self, exporter: Exporter, reason: str) -> None:
        shown = self.shown(exporter, container=container(None, unresolved=reason))
        assert f"name unknown: {UNRESOLVED[reason]}" in shown
        assert f"unknown: {reason}" not in shown

    def test_where_the_memory_was_by_memory_stat(self, exporter: Exporter) -> None:
        domain = incident().domain
        assert domain is not None
        shown = self.shown(exporter, domain=replace(domain, stat=MIXED_STAT))
        assert "anonymous: heap, stacks 60.0 MiB 46 %" in shown
        assert "shared memory, tmpfs 40.0 MiB 31 %" in shown
        assert "page cache 10.0 MiB 7 %" in shown  # what is file and not shmem
        assert "kernel 10.0 MiB 7 %" in shown
        assert "not told apart 8.0 MiB 6 %" in shown
        assert "Approximate: child cgroups had not yet passed up all of their statistics." in shown

    @pytest.mark.parametrize("kernel_bytes", [10 * MIB, None])  # before 5.18 of unknown size
    def test_sockets_are_told_apart_from_the_kernels_own(
        self, exporter: Exporter, kernel_bytes: int | None
    ) -> None:
        domain = incident().domain
        assert domain is not None
        slab, sock = 10 * MIB, 58 * MIB
        stat = replace(
            MIXED_STAT, kernel_bytes=kernel_bytes, slab_unreclaimable_bytes=slab, sock_bytes=sock
        )
        shown = self.shown(exporter, domain=replace(domain, stat=stat))
        assert "kernel 10.0 MiB 7 % " in shown
        assert "socket buffers 58.0 MiB 45 % " in shown
        assert "not told apart" not in shown

    def test_where_the_memory_was_by_the_victims(self, exporter: Exporter) -> None:
        domain = incident().domain
        assert domain is not None
        shown = self.shown(exporter, domain=replace(domain, stat=None))
        assert "anonymous: heap, stacks 124.0 MiB 96 %" in shown
        assert "page cache 1.0 MiB" not in shown  # mapped, perhaps charged elsewhere
        assert "Only the resident memory of the killed processes is known" in shown
        assert "Approximate" not in shown

    def test_unknown_is_unknown(self, exporter: Exporter) -> None:
        shown = self.shown(
            exporter,
            victims=(Victim(pid=7),),
            domain=None,
            trigger=Trigger(),
            container=Container(),
            scope=None,
            candidates=None,
        )
        assert "Cause unknown; killed: unknown" in shown
        assert "scope unknown" in shown
        unknown = shown.partition("Not known on this kernel and hook: ")[2].partition(".")[0]
        assert unknown.startswith("what ran out: limit; the process: pid in its container, ")
        assert unknown.endswith("; who asked: process, cgroup, container; who was spared")
        assert ", anonymous, " in unknown
        assert ": unknown" not in unknown
        assert "0.0 MiB" not in shown

    def test_limit_that_may_not_be_there(self, exporter: Exporter) -> None:
        domain = incident().domain
        assert domain is not None
        assert "swap limit none or unknown" in self.shown(
            exporter, domain=replace(domain, swap_limit_bytes=None)
        )

    def test_a_group_and_who_was_spared(self, exporter: Exporter) -> None:
        victims = tuple(victim(pid=number, command=f"worker-{number}") for number in range(60))
        shown = self.shown(
            exporter, victims=victims, candidates=(Candidate(9, "nginx", 3 * MIB, 0, 800),)
        )
        assert "60 processes killed together" in shown
        assert "worker-49 pid 49" in shown
        assert "worker-50 pid 50" not in shown
        assert "And 10 more, in the raw record." in shown
        assert "nginx pid 9 3.0 MiB 0 800" in shown

    def test_a_pid_is_no_amount(self, exporter: Exporter) -> None:
        victims = (victim(pid_in_container=14406, uid=100999),)
        shown = self.shown(exporter, victims=victims)
        assert "pid in its container 14406 " in shown
        assert "user id 100999 " in shown

    @pytest.mark.parametrize("order", [-(1 << 63), -5, 64, (1 << 31) - 1, (1 << 64) - 1])
    def test_an_impossible_order_is_shown_as_it_is(self, exporter: Exporter, order: int) -> None:
        shown = self.shown(exporter, oom=replace(incident().oom, order=order))
        assert f"pages asked for order {order} " in shown

    def test_inferred_is_said(self, exporter: Exporter) -> None:
        assert "this one was nearest to its limit." in self.shown(exporter, inferred=True)

    def test_a_node_is_inferred_from_no_cgroup_being_full(self, exporter: Exporter) -> None:
        shown = self.shown(exporter, inferred=True, domain=None, scope="node")
        assert "Inferred: this hook does not see what ran out; no cgroup from the victim's" in shown

    def test_next_steps_lead_to_the_documentation(self, exporter: Exporter) -> None:
        exporter.sink(now(scope="container"))
        shown = page(exporter, f"/incidents/{BOOT_NS + 1:x}-1")
        links = [link for link in shown.links if link.startswith("/docs/")]
        assert links
        answer = ask(exporter.addresses[0], get("/docs/verdicts.md")).body.decode()
        for link in links:
            assert f'id="{link.partition("#")[2]}"' in answer

    def test_raw_record(self, exporter: Exporter) -> None:
        exporter.sink(now())
        path = f"/incidents/{BOOT_NS + 1:x}-1.json"
        answer = ask(exporter.addresses[0], get(path))
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.json()["sequence"] == 1
        assert ask(exporter.addresses[0], get("/incidents/1-1.json")).status == 404

    @pytest.mark.parametrize(
        "path", ["/incidents/", "/incidents/9-9", "/incidents/../x", "/incidents/%00"]
    )
    def test_gone(self, exporter: Exporter, path: str) -> None:
        assert "only the latest are" in page(exporter, path, status=404).text


def test_hostile_names_are_shown_harmlessly(exporter: Exporter) -> None:
    hostile = now(
        container=Container(
            id=HOSTILE, name=HOSTILE, image=HOSTILE, pod=HOSTILE, namespace=HOSTILE,
            workload=HOSTILE, runtime=HOSTILE, unresolved=HOSTILE,
        ),
        victims=(victim(command=HOSTILE, parent_command=HOSTILE, cgroup=HOSTILE),) * 2,
        trigger=Trigger(1, 1, HOSTILE, HOSTILE, HOSTILE),
        candidates=(Candidate(2, HOSTILE, 1, 0, 1),),
        node=HOSTILE,
        kernel=HOSTILE,
        verdict=f"killed {HOSTILE}",
    )  # fmt: skip
    exporter.sink(hostile)
    for path in ("/", f"/incidents/{hostile.id}", "/?namespace=" + "%3Cscript%3E"):
        answer = ask(exporter.addresses[0], get(path))
        body = answer.body.decode()
        shown = Text(body)
        assert shown.scripts == 1
        assert shown.inline == []
        assert not any(char in body for char in "\u202e\x1b\x00")
        assert "\\u{202e}" in body or path.startswith("/?")
        assert len(body) < 60_000
    record = json.loads(ask(exporter.addresses[0], get(f"/incidents/{hostile.id}.json")).body)
    assert record["container"]["name"] == HOSTILE


def test_500_incidents_are_less_than_300_kb() -> None:
    with make_exporter(max_incidents=500) as exporter:
        exporter.start()
        verdict = "its own limit (128.0 MiB): " + "x" * 200
        for number in range(500):
            names = container(f"app-{number}" + "n" * 60, pod="p" * 60, namespace="s" * 60)
            exporter.sink(now(number, container=names, verdict=verdict))
        assert len(ask(exporter.addresses[0], get("/")).body) < 300_000


def test_pages_are_packed_for_who_takes_gzip(exporter: Exporter) -> None:
    exporter.sink(now())
    answer = ask(exporter.addresses[0], get("/", "Accept-Encoding: gzip"))
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body).startswith(b"<!doctype html>")


class TestAssets:
    def asset(self, exporter: Exporter, name: str) -> str:
        return next(link for link in page(exporter).links if link.startswith(f"/assets/{name}-"))

    def test_kept_for_good_under_a_name_with_a_hash(self, exporter: Exporter) -> None:
        path = self.asset(exporter, "page")
        answer = ask(exporter.addresses[0], get(path))
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        again = ask(exporter.addresses[0], get(path, f"If-None-Match: {answer.headers['etag']}"))
        assert (again.status, again.body) == (304, b"")

    @pytest.mark.parametrize("path", ["/assets/", "/assets/page.css", "/assets/../site.py"])
    def test_nothing_else(self, exporter: Exporter, path: str) -> None:
        assert ask(exporter.addresses[0], get(path)).status == 404

    @pytest.mark.parametrize("path", ["/docs/", "/docs/record.md", "/docs/../page.js"])
    def test_no_other_document(self, exporter: Exporter, path: str) -> None:
        assert ask(exporter.addresses[0], get(path)).status == 404


def test_metrics_at_the_root_leave_the_pages_where_they_are() -> None:
    with make_exporter(telemetry_path="/") as exporter:
        exporter.start()
        shown = page(exporter, "/incidents")
        assert "/incidents" in shown.links
        assert "/" in shown.links


def test_a_command_line_is_text_and_only_there_if_known(exporter: Exporter) -> None:
    known = now(1, victims=(victim(cmdline=f"app {HOSTILE}"),))
    unknown = now(2)
    exporter.sink(known)
    exporter.sink(unknown)
    shown = page(exporter, f"/incidents/{known.id}")
    assert "command line app <script>alert(1)</script>\\u{202e}\\x1b[31m" in shown.text
    assert shown.scripts == page(exporter, f"/incidents/{unknown.id}").scripts
    assert "command line" not in page(exporter, f"/incidents/{unknown.id}").text
