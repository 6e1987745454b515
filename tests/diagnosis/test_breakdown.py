# SPDX-License-Identifier: Apache-2.0
"""Where the memory was: the parts add up, and everybody who shows them shows the same."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

from hypothesis import example, given, settings

from container_oomkill.cli.show import show_incidents
from container_oomkill.diagnosis.below import NOTABLE_PERCENT
from container_oomkill.diagnosis.breakdown import (
    KINDS,
    REST,
    Breakdown,
    Kind,
    Part,
    find_breakdown,
    of_victims_cgroup,
)
from container_oomkill.diagnosis.memory_kinds import find_memory_kinds
from container_oomkill.diagnosis.verdict import explain
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident.model import Domain, Incident, Oom, Rss, Stat, Victim
from container_oomkill.sinks import bar, terminal
from container_oomkill.sinks.formats import open_sink
from container_oomkill.units import in_mib, size
from container_oomkill.web.page import bar as page_bar
from container_oomkill.web.page import detail

from ..support.any_incident import INCIDENTS
from ..support.incidents import MIB, incident, victim

CSS = Path(page_bar.__file__).parent / "assets" / "page.css"
ANY = settings(max_examples=200)
# Before 5.18 memory.stat does not count the kernel's own memory: 19 MiB of the 40 are told.
OLD_KERNEL = incident(
    domain=Domain(
        cgroup="/a",
        usage_bytes=64 * MIB,
        limit_bytes=64 * MIB,
        stat=Stat(
            anon_bytes=20 * MIB,
            file_bytes=4 * MIB,
            shmem_bytes=MIB,
            kernel_stack_bytes=2 * MIB,
            pagetables_bytes=7 * MIB,
            slab_reclaimable_bytes=4 * MIB,
            slab_unreclaimable_bytes=6 * MIB,
            sock_bytes=0,
        ),
    )
)
NO_STAT = incident(domain=Domain(cgroup="/a", usage_bytes=128 * MIB, limit_bytes=128 * MIB))
NODE = incident(domain=None, scope="node", victims=(victim(stat=Stat(anon_bytes=MIB)),))


def top(given_one: Incident) -> dict[str, int]:
    breakdown = find_breakdown(given_one)
    assert breakdown is not None
    return {part.kind: part.bytes // MIB for part in breakdown.parts if part.bytes}


def test_what_the_kernel_does_not_count_as_a_whole_is_at_least_what_is_known_of_it() -> None:
    assert top(OLD_KERNEL) == {"anon": 20, "file": 3, "shmem": 1, "kernel": 19, "rest": 21}
    breakdown = find_breakdown(OLD_KERNEL)
    assert breakdown is not None
    assert [part.kind for part in breakdown.parts if part.approximate] == ["kernel"]
    assert not breakdown.counts_kernel
    assert "62 % (40.0 MiB) is neither anonymous" in str(explain(OLD_KERNEL).verdict)
    assert text_numbers(OLD_KERNEL) == {
        "anon": "20.0",
        "file": "3.0",
        "shmem": "1.0",
        "kernel": "19.0",
        "kernel stacks": "2.0",
        "page tables": "7.0",
        "slab": "10.0",
        "other": "21.0",
    }
    assert "kernel at least 19.0" in text(OLD_KERNEL)
    assert "▚ kernel at least 19.0 MiB\n         ░ other 21.0 MiB" in show(OLD_KERNEL)
    assert {"kernel, at least": "19.0 MiB", "not told apart": "21.0 MiB"}.items() <= dict(
        page(find_breakdown(OLD_KERNEL))
    ).items()


def test_with_nothing_left_it_is_exactly_that() -> None:
    domain = OLD_KERNEL.domain
    assert domain is not None
    assert domain.stat is not None
    all_told = replace(domain, stat=replace(domain.stat, sock_bytes=21 * MIB))
    breakdown = find_breakdown(OLD_KERNEL.changed(domain=all_told))
    assert breakdown is not None
    assert breakdown.counts_kernel
    assert not any(part.approximate for part in breakdown.every_part())


def test_without_memory_stat_it_is_what_the_killed_had() -> None:
    """The files they mapped are left out: others may have been charged for them."""
    assert top(NO_STAT) == {"anon": 124, "page_tables": 0, "rest": 3}
    assert "█ anon 124.0 MiB  ▟ page tables 0.4 MiB  ░ other 3.6 MiB" in show(NO_STAT)
    group = NO_STAT.changed(
        oom=Oom(group=True), victims=(victim(rss=Rss(MIB, 0, 0)), victim(rss=Rss(2 * MIB, 0, 0)))
    )
    assert top(group)["anon"] == 3
    assert top(group.changed(oom=Oom(group=False)))["anon"] == 1
    one_unknown = group.changed(victims=(victim(), victim(rss=Rss(), pagetables_bytes=None)))
    assert top(one_unknown) == {"rest": 128}


def test_a_node_has_no_usage_and_the_victims_cgroup_a_breakdown_of_its_own() -> None:
    assert top(NODE) == {"anon": 124, "file": 1, "page_tables": 0}
    own = of_victims_cgroup(NODE)
    assert own is not None
    assert own.bytes_of("anon") == MIB
    assert "\ncgroup   █" in show(NODE)


def test_unknown_is_unknown_and_less_than_nothing_is_too() -> None:
    unknown = incident(domain=None, victims=(Victim(),))
    assert find_breakdown(unknown) is None
    domain = Domain(usage_bytes=MIB, stat=Stat(anon_bytes=-5, file_bytes=MIB))
    assert find_breakdown(incident(domain=domain, victims=(Victim(),))) == Breakdown(
        (Part("rest", "other", "not told apart", MIB, seldom=True),), MIB, None, of_all=False
    )


def every(kinds: tuple[Kind, ...]) -> Iterator[Kind]:
    for kind in kinds:
        yield kind
        yield from every(kind.within)


def test_every_kind_a_bar_can_have_has_its_looks() -> None:
    names = [kind.name for kind in every((*KINDS, REST))]
    assert len(names) == len(set(names))
    shown = {kind.name for kind in (*KINDS, REST)}
    shown |= {kind.name for kind in every(KINDS) if kind.of_victim(victim()) is not None}
    for looks in (bar.BLOCKS, bar.PLAIN, terminal.COLOURS):
        assert set(looks) == {*shown, bar.FREE}
        assert len(set(looks.values())) == len(looks)
    assert set(re.findall(r"^\[data-kind=(\w+)\]", CSS.read_text(), re.MULTILINE)) == shown


def added_up(parts: tuple[Part, ...]) -> None:
    for part in parts:
        assert part.bytes >= 0
        if part.parts:
            assert sum(each.bytes for each in part.parts) >= part.bytes
            rests = [each.bytes for each in part.parts if each.is_rest]
            assert not rests or sum(each.bytes for each in part.parts) == part.bytes
        added_up(part.parts)


@ANY
@given(INCIDENTS)
def test_the_parts_add_up(given_one: Incident) -> None:
    for breakdown in (find_breakdown(given_one), of_victims_cgroup(given_one)):
        if breakdown is None:
            continue
        added_up(breakdown.parts)
        whole = sum(part.bytes for part in breakdown.parts)
        assert whole == breakdown.used_bytes or breakdown.usage_bytes is None
        rest = [part.bytes for part in breakdown.parts if part.is_rest]
        if rest:
            assert whole == breakdown.usage_bytes
            assert rest == [rest[0]]
            assert rest[0] > 0
        if (free := breakdown.free_bytes) is not None and free:
            assert whole + free == breakdown.limit_bytes
        assert breakdown.whole_bytes >= max(whole + (breakdown.free_bytes or 0), 1)


def text(given_one: Incident) -> str:
    stream = io.StringIO()
    open_sink("text", stream)(given_one)
    return stream.getvalue()


def text_numbers(given_one: Incident) -> dict[str, str]:
    """What its line on memory says."""
    lines = iter(text(given_one).splitlines())
    line = next((line for line in lines if line.startswith(" " * 10 + "memory  ")), "")
    for more in lines:
        if not line or not more.startswith(" " * 18):
            break
        line += "  " + more.strip()
    found = re.findall(r"([a-z ]+?)(?: at least)? ([\d.]+)(?: MiB)?(?:  |$)", line[18:])
    return {label.strip(): number for label, number in found}


def show(given_one: Incident) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8")
    show_incidents([given_one], stream, wanted=given_one.id, colour="never")
    return raw.getvalue().decode()


def legends(given_one: Incident) -> list[list[tuple[str, str]]]:
    """The words below each bar."""
    known = "".join(bar.BLOCKS.values())
    bars = rf"^(?:memory|cgroup)   [{known}]+\n((?: {{9}}.+\n)+)"
    paragraphs = re.findall(bars, show(given_one), re.MULTILINE)
    entry = re.compile(rf"[{known}] ([a-z ]+?)(?: at least)? ([\d.]+ [MG]iB)")
    return [entry.findall(" ".join(each.split())) for each in paragraphs]


def page(breakdown: Breakdown | None) -> list[tuple[str, str]]:
    if breakdown is None:
        return []
    made = str(page_bar.explained(breakdown, "title"))
    rows = re.findall(r'<th scope="row">(.+?)</th><td>(.+?)</td>', made)
    return [(unescape(re.sub("<.+?>", "", head)).strip(), bytes_) for head, bytes_ in rows]


@ANY
@example(OLD_KERNEL)
@example(NO_STAT)
@example(NODE)
@given(INCIDENTS)
def test_verdict_text_terminal_and_page_say_the_same(given_one: Incident) -> None:
    shown = explain(resolve(given_one))
    breakdown, own = find_breakdown(shown), of_victims_cgroup(shown)
    both = [each for each in (breakdown, own) if each is not None and bar.sizes(each)]

    on_page = str(detail._memory(shown))
    for each in both:
        told = [part for part in each.parts if part.bytes]
        assert page(each) == [
            (part.words + ", at least" * part.approximate, size(part.bytes)) for part in told
        ]
        assert all(f"<td>{size(part.bytes)}</td>" in on_page for part in told)

    expected = []
    for each in both:
        expected.append([(part.label, size(part.bytes)) for part in each.parts if part.bytes])
        if each.free_bytes:
            expected[-1].append((bar.FREE, size(each.free_bytes)))
    assert legends(shown) == expected

    if breakdown is None or not breakdown.of_all:
        assert text_numbers(shown) == {}
    else:
        every_number = {part.label: in_mib(part.bytes) for part in breakdown.every_part()}
        told_numbers = text_numbers(shown)
        assert told_numbers.items() <= every_number.items()
        assert {part.label for part in breakdown.parts if part.bytes} <= told_numbers.keys()

    for rule, words in find_memory_kinds(shown):
        assert breakdown is not None
        assert breakdown.usage_bytes
        assert words in str(shown.verdict) or shown.verdict is None
        if (parts := SPOKEN_OF.get(rule.name)) is None:
            continue
        held = sum(breakdown.bytes_of(part) or 0 for part in parts)
        share = 100 * held // breakdown.usage_bytes
        assert share >= NOTABLE_PERCENT
        assert (f"{share} %" if share <= 100 else size(held)) in words
        assert f"({size(held)})" in words or not breakdown.of_all or share > 100


# A rule's name: the parts whose bytes it speaks of.
SPOKEN_OF = {
    "anonymous-memory": ("anon",),
    "sandbox": ("shmem",),
    "shared-mapping": ("shmem",),
    "tmpfs": ("shmem",),
    "page-cache": ("file",),
    "slab": ("slab",),
    "page-tables": ("page_tables",),
    "kernel-stacks": ("kernel_stacks",),
    "vmalloc": ("vmalloc",),
    "per-cpu-memory": ("percpu",),
    "zswap": ("zswap",),
    "kernel-memory": ("kernel",),
    "sockets": ("sockets",),
    "huge-pages": ("hugetlb",),
    "pinned-pages": ("pinned",),
    "not-told-apart": ("kernel", "rest"),
    "uncounted": ("rest",),
}


@ANY
@given(INCIDENTS)
def test_nothing_of_a_quarter_stays_unmentioned(given_one: Incident) -> None:
    """Each part is told by a rule of its own, of what is within it, or of both."""
    shown = explain(resolve(given_one))
    breakdown = find_breakdown(shown)
    if breakdown is None or not breakdown.of_all or not breakdown.usage_bytes:
        return
    told = {rule.name for rule, _ in find_memory_kinds(shown)}
    parts = {part for name, spoken in SPOKEN_OF.items() if name in told for part in spoken}
    if "other-kernel-memory" in told:
        parts |= {"kernel", "rest"}
    if "mix" in told:
        return  # what no rule tells is in it
    left = sum(bytes_ for bytes_ in untold_bytes(breakdown.parts, parts))
    assert 100 * left // breakdown.usage_bytes < NOTABLE_PERCENT


def untold_bytes(parts: tuple[Part, ...], told: set[str]) -> Iterator[int]:
    for part in parts:
        if part.kind in told:
            continue
        if any(each.kind in told for each in part.parts):
            yield from untold_bytes(part.parts, told)
        else:
            yield part.bytes
