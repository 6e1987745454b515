# SPDX-License-Identifier: Apache-2.0
"""Kinds of kills that people reported: recorded ones by their record, others made like them.

The records of tests/data/reports are from before the record had a domain's children: what follows
is said of them as far as they carry the evidence.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.diagnosis.recent import Recent
from container_oomkill.diagnosis.verdict import explain, next_steps
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident.model import (
    Candidate,
    Child,
    Container,
    Domain,
    Incident,
    Oom,
    Rss,
    Stat,
    Trigger,
)
from container_oomkill.sinks.names import what_ran_out
from container_oomkill.sinks.record import from_object
from container_oomkill.units import NS

from ..support.incidents import MIB, incident, victim

REPORTS = Path(__file__).parents[1] / "data" / "reports"
ID, OTHER, SANDBOX = "0123456789abcdef" * 4, "fedcba9876543210" * 4, "5" * 64
POD = "/kubepods/burstable/podf3c2e1d0-aaaa-4bbb-8ccc-0123456789ab"
MEMCG = Oom(constraint="memcg", order=0, group=False)
WRITER = Trigger(9, 9, "runc", "/", None)


def recorded(name: str) -> Incident:
    return from_object(json.loads((REPORTS / f"{name}.json").read_text()))


def said(name: str) -> tuple[str, list[str]]:
    shown = explain(recorded(name))
    links = [step.link.removeprefix("verdicts.md#") for step in next_steps(shown)]
    return str(shown.verdict), links


# What is right, what must not be said, and what is to be done first.
RIGHT: dict[str, tuple[list[str], list[str], str]] = {
    "packet_mmap": (
        ["the node ran out of memory", "held 736.0 MiB that no cgroup is charged for"],
        ["not this container"],
        "uncharged",
    ),
    "resize_3_percent": (
        ["runc [169] lowered the limit to less than was in use (46.2 MiB)"],
        ["start needs", "apparently"],
        "limit-lowered",
    ),
    "sock_over_limit": (
        ["97 % (55.3 MiB) is socket buffers, which may pass the limit: 57.0 MiB were in use"],
        ["lowered", "start needs"],
        "sockets",
    ),
    "tmpfs_left_behind": (
        [
            "its pod's limit (64.0 MiB): 96 % (61.7 MiB) is shared memory or tmpfs",
            "61.9 MiB is charged to the pod, but not to this container: apparently files in tmpfs",
            "raising the limit only postpones it",
        ],
        ["neighbours", "shared by all", "start needs"],
        "left-behind",
    ),
    "shared_mapping": (
        ["62 % (60.0 MiB) is shared memory mapped by postgres (shared_buffers, shared anonymous"],
        ["tmpfs", "/dev/shm", "start needs"],
        "shared-mapping",
    ),
    "oom_group": (
        [
            "98 % (62.9 MiB) is anonymous memory that 8 processes share in part",
            "postgres [181] held 42.0 MiB, each of the others 8.2 MiB to 13.2 MiB",
        ],
        ["start needs"],
        "anonymous-memory",
    ),
}


def test_every_record_is_tried() -> None:
    assert {path.stem for path in REPORTS.glob("*.json")} == set(RIGHT)


@pytest.mark.parametrize("name", RIGHT)
def test_a_recorded_kill_gets_the_right_words(name: str) -> None:
    right, wrong, first = RIGHT[name]
    verdict, steps = said(name)
    for words in right:
        assert words in verdict
    for words in wrong:
        assert words not in verdict
    assert steps[0] == first


def test_a_group_kills_next_step_says_who_sets_it() -> None:
    shown = explain(recorded("oom_group"))
    assert any("singleProcessOOMKill (1.32)" in step.text for step in next_steps(shown))


def test_what_raising_the_limit_does_not_help_does_not_advise_it() -> None:
    for name in ("resize_3_percent", "tmpfs_left_behind"):
        assert not {"own-limit", "pod-limit", "young"} & set(said(name)[1])


# --- made like others --------------------------------------------------------


def app(mib: float, limit: int | None) -> Child:
    whole = None if limit is None else limit * MIB
    return Child(f"{POD}/{ID}", 11, int(mib * MIB), whole, Container(id=ID, name="app"))


def pause(mib: float = 0.5) -> Child:
    return Child(f"{POD}/{SANDBOX}", 12, int(mib * MIB), None, Container(id=SANDBOX, name="POD"))


def side(mib: float, name: str | None = "side") -> Child:
    return Child(f"{POD}/{OTHER}", 13, int(mib * MIB), None, Container(id=OTHER, name=name))


def pod(*children: Child, limit: int = 70, usage: float | None = None, **stat: Any) -> Domain:
    full = {"file_bytes": 0, "shmem_bytes": 0, "sock_bytes": 0, "kernel_bytes": 0}
    return Domain(
        cgroup=POD,
        cgroup_id=10,
        usage_bytes=int((limit if usage is None else usage) * MIB),
        limit_bytes=limit * MIB,
        stat=Stat(**(full | stat)),
        children=children or None,
    )


def killed(domain: Domain | None, mib: int = 60, **changes: Any) -> Incident:
    """The app's process, and what its cgroup's path says of it."""
    victims = changes.pop("victims", None) or (one(mib),)
    values: dict[str, Any] = {
        "container": Container(),
        "domain": domain,
        "oom": MEMCG,
        "trigger": Trigger(1, 1, "asker", f"{POD}/{ID}", None),
        "victims": victims,
        "candidates": (),
    }
    return explain(resolve(incident(**(values | changes))))


def one(mib: float = 60, **changes: Any) -> Any:
    values = {
        "cgroup": f"{POD}/{ID}",
        "cgroup_id": 11,
        "usage_bytes": int(mib * MIB),
        "limit_bytes": 70 * MIB,
        "rss": Rss(int(mib * MIB), 0, 0),
        "pid_in_container": 1,
        "uptime_seconds": 3600.0,
    }
    return victim(**(values | changes))


def test_one_container_dies_by_its_pods_cgroup_which_is_its_own_limit() -> None:
    shown = killed(pod(app(69.4, 70), pause(), anon_bytes=69 * MIB), mib=69)
    assert shown.scope == "container"
    assert shown.domain is not None
    assert shown.domain.cgroup == POD
    assert str(shown.verdict).startswith("its own limit (70.0 MiB): 98 % (69.0 MiB) is anonymous")
    assert "pod" not in str(shown.verdict)
    assert what_ran_out(shown) == "limit 70.0 MiB reached (its own)"


def test_the_same_of_a_record_without_children() -> None:
    assert killed(pod(anon_bytes=69 * MIB), victims=(one(69.5),)).scope == "container"
    assert killed(pod(anon_bytes=69 * MIB), victims=(one(60),)).scope == "pod"


@pytest.mark.parametrize(
    "domain",
    [
        pod(app(40, 70), pause(), side(29.5), anon_bytes=69 * MIB),  # it has a share
        pod(app(69, None), pause(), anon_bytes=69 * MIB),  # the pod's limit was set itself
        pod(app(69, 64), pause(), limit=70, anon_bytes=69 * MIB),
    ],
)
def test_where_it_is_the_pods_it_stays_the_pods(domain: Domain) -> None:
    shown = killed(domain)
    assert shown.scope == "pod"
    assert what_ran_out(shown) == "limit 70.0 MiB reached (its pod's)"


def test_whoever_holds_the_rest_is_named() -> None:
    shown = killed(pod(app(43.5, None), pause(), side(20, "cache"), limit=64, anon_bytes=63 * MIB))
    # `resolve` has no state here: the child's name is what the runtime's state says of it.
    assert shown.domain is not None
    domain = replace(shown.domain, children=(app(43.5, None), pause(), side(20, "cache")))
    verdict = str(explain(shown.changed(domain=domain)).verdict)
    assert "; its own cgroup held 43.5 MiB of that, cache 20.0 MiB" in verdict
    assert "shared by all of the pod's containers" in verdict


def test_files_that_outlived_the_container_are_nobodys() -> None:
    left = pod(
        app(2, 64),
        pause(),
        limit=64,
        anon_bytes=2 * MIB,
        shmem_bytes=61 * MIB,
        file_bytes=61 * MIB,
        gone_bytes=60 * MIB,
    )
    young = one(2, uptime_seconds=9.5, limit_bytes=64 * MIB)
    shown = killed(left, victims=(young,))
    assert shown.scope == "container"
    verdict = str(shown.verdict)
    assert verdict.startswith("its own limit (64.0 MiB): 95 % (61.0 MiB) is shared memory or tmpfs")
    assert (
        "60.0 MiB is charged to the pod by no living container: files in tmpfs left by an "
        "earlier one; raising the limit only postpones it"
    ) in verdict
    assert "start needs" not in verdict


def test_what_is_left_and_may_be_anything_is_not_called_tmpfs() -> None:
    left = pod(app(30, 64), pause(), limit=64, anon_bytes=40 * MIB, gone_bytes=30 * MIB)
    words = "30.0 MiB is charged to the pod by no living container: left by an earlier one"
    assert words in str(killed(left, victims=(one(30),)).verdict)


def test_an_exec_probe_that_eats_the_memory_takes_the_container_with_it() -> None:
    probe = one(46, pid=77, pid_in_container=6, from_outside=True, command="tail")
    program = one(0.4, pid=70, command="sleep")
    shown = killed(
        pod(app(47.5, 48), pause(0.3), limit=48, anon_bytes=47 * MIB),
        victims=(probe, program),
        oom=Oom("memcg", 0, group=True),
    )
    verdict = str(shown.verdict)
    assert shown.scope == "container"
    assert "tail [77] held 46.0 MiB, the other 0.4 MiB" in verdict
    assert "tail [77] came into the container from outside, as an exec probe, kubectl" in verdict
    assert verdict.endswith("; the program itself held 0.4 MiB")
    assert next_steps(shown)[0].link.endswith("#from-outside")


def test_workers_that_share_a_heap_are_no_owner_of_it() -> None:
    """Preforked: 319 MiB resident between them, of 80 MiB charged."""
    workers = tuple(Candidate(200 + n, "worker", 82 * MIB, 0, 1) for n in range(3))
    full = pod(app(79, 80), pause(), limit=80, anon_bytes=78 * MIB)
    alone = one(78, rss=Rss(78 * MIB, 3 * MIB, 0))
    verdict = str(killed(full, victims=(alone,), candidates=workers).verdict)
    assert "is anonymous memory that 4 processes share in part, as after a fork" in verdict
    assert "of python3" not in verdict
    small = tuple(replace(each, rss_bytes=4 * MIB) for each in workers)
    assert "of python3" in str(killed(full, victims=(alone,), candidates=small).verdict)


def test_kills_of_one_write_are_one_story() -> None:
    full = pod(app(90, 40), pause(), limit=40, usage=90, anon_bytes=89 * MIB)
    recent = Recent()
    told = []
    for number, seconds in enumerate((0.0, 0.3, 0.9, 60.0), 1):
        kill = killed(full, sequence=number, boot_ns=int(seconds * NS), trigger=WRITER)
        told.append(str(recent.explain(kill).verdict))
    assert all("runc [9] lowered the limit" in verdict for verdict in told)
    assert "same write" not in told[0]
    assert told[1].endswith("it is the 2nd kill of the same write")
    assert told[2].endswith("it is the 3rd kill of the same write")
    assert "same write" not in told[3]
    other = killed(full, sequence=9, boot_ns=61 * NS, trigger=replace(WRITER, tid=10))
    assert "same write" not in str(recent.explain(other).verdict)
    again = killed(full, sequence=4, boot_ns=60 * NS, trigger=WRITER)
    assert str(recent.explain(again).verdict) == told[3]


def test_the_eleventh_of_them_is_no_eleven_st() -> None:
    full = pod(app(90, 40), pause(), limit=40, usage=90, anon_bytes=89 * MIB)
    kill = killed(full, trigger=WRITER)
    for number, words in ((11, "11th"), (12, "12th"), (21, "21st"), (113, "113th"), (4, "4th")):
        verdict = str(explain(kill, same_write=number).verdict)
        assert verdict.endswith(f"it is the {words} kill of the same write")


def test_a_process_that_was_moved_here_dies_in_vain() -> None:
    full = pod(app(60, None), pause(), limit=64, shmem_bytes=60 * MIB, file_bytes=60 * MIB)
    stat = Stat(anon_bytes=MIB, file_bytes=60 * MIB, shmem_bytes=60 * MIB)
    moved = one(60, rss=Rss(100 * MIB, 0, 0), stat=stat)
    words = "python3 had 100.0 MiB resident, and at most 1.0 MiB of it was charged here"
    assert words in str(killed(full, victims=(moved,)).verdict)


def test_who_asked_and_who_was_spared_are_said_with_their_container() -> None:
    full = pod(app(30, None), pause(), side(38, "db"), anon_bytes=68 * MIB)
    asker = Trigger(5, 5, "mysqld", f"{POD}/{OTHER}", None)
    spared = Candidate(5, "mysqld", 200 * MIB, -997, 0, 13, "db")
    shown = killed(full, victims=(one(30),), trigger=asker, candidates=(spared,))
    named = shown.changed(
        trigger=replace(shown.trigger, container=Container(id=OTHER, name="db")),
        candidates=(spared,),
    )
    verdict = str(explain(named).verdict)
    assert "mysqld [5] of db held more (200.0 MiB against 30.4 MiB)" in verdict
    assert "the memory was asked for by mysqld of db, another container of the pod" in verdict


def test_a_node_wide_victim_that_used_much_of_it_is_not_cleared() -> None:
    node = Oom(constraint="none", order=0, total_bytes=1000 * MIB)
    big = one(800, limit_bytes=900 * MIB)
    verdict = str(killed(None, victims=(big,), oom=node).verdict)
    words = "this container used 800.0 MiB of its 900.0 MiB, 80 % of the node's 1000.0 MiB"
    assert verdict.startswith(f"the node ran out of memory: {words}, swap included;")


def test_memory_shared_by_a_sandboxs_programs_is_no_tmpfs() -> None:
    full = pod(
        app(69.4, 70), pause(), anon_bytes=9 * MIB, shmem_bytes=60 * MIB, file_bytes=60 * MIB
    )
    sentry = one(69, command="exe", rss=Rss(9 * MIB, MIB, 55 * MIB))
    verdict = str(killed(full, victims=(sentry,)).verdict)
    assert "85 % (60.0 MiB) is memory of the sandbox's programs" in verdict
    assert "df" not in verdict
    assert "tmpfs" not in verdict


def test_a_hook_that_is_not_told_says_so_and_names_no_node() -> None:
    shown = killed(None, oom=Oom(group=False), hook="raw_tracepoint")
    assert shown.scope is None
    assert str(shown.verdict).startswith("what ran out is not known: a cgroup was close to its")
    assert what_ran_out(shown) == "cause unknown"
    assert next_steps(shown)[0].link.endswith("#unknown")
