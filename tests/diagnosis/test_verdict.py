# SPDX-License-Identifier: Apache-2.0
"""Scope and verdict, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from container_oomkill.diagnosis.verdict import explain
from container_oomkill.identity.resolver import resolve
from container_oomkill.incident.model import Container, Domain, Incident, Oom, Rss, Trigger, Victim

from ..support.incidents import MIB, incident, victim

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
POD = "/kubepods/burstable/podf3c2e1d0-aaaa-4bbb-8ccc-0123456789ab"
CONTAINER = f"{POD}/{ID}"
MEMCG = Oom(constraint="memcg", order=0, group=False)


def explained(**changes: Any) -> Incident:
    values: dict[str, Any] = {
        "container": Container(),
        "trigger": Trigger(1, 1, "asker", CONTAINER, None),
        "oom": MEMCG,
        "domain": Domain(cgroup=CONTAINER, limit_bytes=128 * MIB, usage_bytes=128 * MIB),
        "victims": (victim(cgroup=CONTAINER, pid_in_container=1, uptime_seconds=3.25),),
        "inferred": False,
    }
    return explain(resolve(incident(**(values | changes))))


@pytest.mark.parametrize(
    ("domain", "scope"),
    [
        (CONTAINER, "container"),
        (POD, "pod"),
        ("/kubepods/burstable", "cgroup"),
        ("/kubepods", "cgroup"),
    ],
)
def test_whose_limit(domain: str, scope: str) -> None:
    assert explained(domain=Domain(cgroup=domain)).scope == scope


def test_a_cgroup_inside_the_container_is_killed_by_the_containers_own_limit() -> None:
    inside = (victim(cgroup=f"{CONTAINER}/init.scope"),)
    assert explained(victims=inside).scope == "container"


@pytest.mark.parametrize(
    ("oom", "scope", "words"),
    [
        (Oom("none", 0), "node", "the node ran out of memory, not this container"),
        (Oom("none", -1), "manual", "sysrq-f"),
        (Oom("cpuset", 0), "cpuset", "cpuset.mems"),
        (Oom("memory_policy", 0), "mempolicy", "NUMA policy"),
    ],
)
def test_no_cgroups_limit(oom: Oom, scope: str, words: str) -> None:
    used = (victim(cgroup=CONTAINER, usage_bytes=80 * MIB, limit_bytes=256 * MIB),)
    result = explained(domain=None, oom=oom, victims=used)
    assert result.scope == scope
    assert result.verdict is not None
    assert words in result.verdict
    if scope == "node":
        assert "it used 80.0 MiB of its 256.0 MiB" in result.verdict


def test_own_limit_says_what_the_memory_was() -> None:
    verdict = explained().verdict
    assert verdict == (
        "its own limit (128.0 MiB): 96 % is anonymous memory of python3; "
        "the process died 3.2 s after its start, so the limit may be below what the start needs; "
        "it was PID 1 of its PID namespace, which ends with it"
    )


def test_shared_memory_points_at_tmpfs() -> None:
    rss = Rss(anon_bytes=MIB, file_bytes=0, shmem_bytes=100 * MIB)
    result = explained(victims=(victim(cgroup=CONTAINER, rss=rss),))
    assert "shared memory or tmpfs" in str(result.verdict)


def test_a_small_victim_is_not_blamed() -> None:
    rss = Rss(anon_bytes=2 * MIB, file_bytes=0, shmem_bytes=0)
    verdict = str(explained(victims=(victim(cgroup=CONTAINER, rss=rss),)).verdict)
    assert "python3 itself held little of it (2.0 MiB of 128.0 MiB)" in verdict


def test_pod_limit_and_another_containers_process() -> None:
    domain = Domain(cgroup=POD, limit_bytes=512 * MIB, usage_bytes=512 * MIB)
    asker = Trigger(1, 1, "asker", f"{POD}/{OTHER}", None)
    verdict = str(explained(domain=domain, trigger=asker).verdict)
    assert verdict.startswith("its pod's limit (512.0 MiB), shared by all of the pod's containers")
    assert "asked for by asker of another container" in verdict


def test_a_parents_limit_is_named() -> None:
    domain = Domain(cgroup="/kubepods", limit_bytes=512 * MIB, usage_bytes=512 * MIB)
    assert "of the cgroup /kubepods above it" in str(explained(domain=domain).verdict)


def test_a_group_is_counted() -> None:
    both = (victim(cgroup=CONTAINER), victim(pid=2, cgroup=CONTAINER))
    result = explained(oom=Oom("memcg", 0, group=True), victims=both)
    assert "memory.oom.group killed 2 processes together" in str(result.verdict)


def test_a_child_of_pid_1_leaves_the_container_alive() -> None:
    child = (victim(cgroup=CONTAINER, pid_in_container=7),)
    assert "not PID 1: the container may live on" in str(explained(victims=child).verdict)
    first = (victim(cgroup=CONTAINER, pid_in_container=1),)
    assert "may live on" not in str(explained(victims=first).verdict)


def test_what_was_inferred_is_said_to_be() -> None:
    unknown = Oom(group=False)
    assert str(explained(inferred=True, oom=unknown).verdict).startswith("apparently its own limit")
    node = explained(inferred=True, oom=unknown, domain=None)
    assert node.scope == "node"
    assert str(node.verdict).startswith("apparently the node")


def test_nothing_known_is_nothing_said() -> None:
    result = explained(
        inferred=True, oom=Oom(), domain=None, victims=(Victim(tid=5),), trigger=Trigger()
    )
    assert result.scope is None
    assert result.verdict is None


def test_an_unknown_constraint_is_not_guessed() -> None:
    assert explained(domain=None, oom=Oom(constraint=None, order=0)).scope is None


def test_the_limit_of_the_named_outer_container_is_its_own() -> None:
    """Docker in Docker: identity names the outer container, whose limit this is."""
    outer = f"/docker/{ID}"
    inside = (victim(cgroup=f"{outer}/docker/{OTHER}"),)
    full = Domain(cgroup=outer, limit_bytes=128 * MIB, usage_bytes=128 * MIB)
    given = incident(
        container=Container(id=ID, name="outer"),
        domain=full,
        victims=inside,
        oom=MEMCG,
        inferred=False,
    )
    assert explain(given).scope == "container"
    named_inner = incident(
        container=Container(id=OTHER), domain=full, victims=inside, oom=MEMCG, inferred=False
    )
    assert explain(named_inner).scope == "cgroup"


def test_the_same_cgroup_is_known_by_its_id_where_paths_are_cut() -> None:
    cut = Domain(cgroup="…/b/leaf", cgroup_id=77, limit_bytes=MIB, usage_bytes=MIB)
    here = victim(cgroup="…/a/b/leaf", cgroup_id=77)
    assert explained(domain=cut, victims=(here,)).scope == "container"
    elsewhere = victim(cgroup="…/a/b/leaf", cgroup_id=78)
    assert explained(domain=cut, victims=(elsewhere,)).scope == "cgroup"


def test_a_group_holds_what_its_victims_hold_together() -> None:
    rss = Rss(anon_bytes=30 * MIB, file_bytes=0, shmem_bytes=0)
    four = tuple(victim(pid=n, cgroup=CONTAINER, rss=rss) for n in range(4))
    verdict = str(explained(oom=Oom("memcg", 0, group=True), victims=four).verdict)
    assert "93 % is anonymous memory of the 4 processes killed" in verdict
    assert "held little" not in verdict
    unknown = (*four[:3], victim(pid=9, cgroup=CONTAINER, rss=Rss(), pagetables_bytes=None))
    verdict = str(explained(oom=Oom("memcg", 0, group=True), victims=unknown).verdict)
    assert "%" not in verdict
    assert "held little" not in verdict


def test_more_than_the_domain_held_is_no_share_of_it() -> None:
    rss = Rss(anon_bytes=300 * MIB, file_bytes=0, shmem_bytes=0)
    verdict = str(explained(victims=(victim(cgroup=CONTAINER, rss=rss),)).verdict)
    assert "%" not in verdict
    assert "python3 had 300.0 MiB of anonymous memory" in verdict


def test_a_node_wide_kill_outside_containers_speaks_of_no_container() -> None:
    used = victim(cgroup="/system.slice/cron.service", usage_bytes=80 * MIB, limit_bytes=256 * MIB)
    verdict = str(explained(domain=None, oom=Oom("none", 0), victims=(used,)).verdict)
    assert verdict.startswith("the node ran out of memory, not this cgroup: it used 80.0 MiB")


def test_without_a_pid_namespace_nothing_is_said_of_pid_1() -> None:
    same = victim(cgroup=CONTAINER, pid=4711, pid_in_container=4711)
    assert "PID 1" not in str(explained(victims=(same,)).verdict)


def test_a_long_life_is_no_remark() -> None:
    old = victim(cgroup=CONTAINER, pid_in_container=1, uptime_seconds=60.0)
    assert "after its start" not in str(explained(victims=(old,)).verdict)


def test_page_tables_are_named_where_they_are_the_most() -> None:
    tables = victim(cgroup=CONTAINER, rss=Rss(0, 0, 0), pagetables_bytes=100 * MIB)
    assert "78 % is page tables of python3" in str(explained(victims=(tables,)).verdict)
