# SPDX-License-Identifier: Apache-2.0
"""The domain's children: of a pod, its containers, and what none of them holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup, is_v1
from ..support.kernel.evidence import exact, near
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.memory_stat import BATCH_BYTES, assert_stat_agrees
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

KEPT = 16  # OOMKILL_CHILDREN, bpf/oomkill.h
SEEN = 256  # CHILDREN_SEEN_MAX, bpf/children.bpf.h


def usage(cgroup: Cgroup) -> int:
    return int(cgroup.read("memory.usage_in_bytes" if is_v1() else "memory.current"))


def by_id(record: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {child["cgroup_id"]: child for child in record["domain"]["children"]}


def assert_is(child: dict[str, Any], cgroup: Cgroup, usage_bytes: int) -> None:
    exact("domain.children", child, cgroup=cgroup.path, cgroup_id=cgroup.id())
    near("domain.children", child, BATCH_BYTES, usage_bytes=usage_bytes)


def assert_the_rest_is_gone(record: dict[str, Any], held: int, looked_at: int = 1) -> None:
    """What no living child holds is what the children's sum leaves of the usage.

    ``looked_at``: children read before; what each had charged in advance it may have given back.
    """
    domain, error = record["domain"], looked_at * BATCH_BYTES
    near("domain.stat", domain["stat"], error, gone_bytes=domain["usage_bytes"] - held)


def test_each_with_name_limit_and_usage_the_largest_first(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    names = ("sandbox", "sidecar", "empty", "app")
    pod, sandbox, sidecar, empty, app = make_cgroups(
        "/oomkill-pod", *(f"/oomkill-pod/{name}" for name in names)
    )
    pod.limit(48)
    sidecar.limit(24)
    hog(sandbox, "anon 1 ready wait").ready()
    hog(sidecar, "anon 10 shmem 4 ready wait").ready()
    held = {cgroup.id(): usage(cgroup) for cgroup in (sandbox, sidecar, empty)}
    assert hog(app, "adj 1000 anon 64").was_killed()
    record = recorder.record()
    children = record["domain"]["children"]
    assert [child["cgroup_id"] for child in children] == [
        cgroup.id() for cgroup in (app, sidecar, sandbox, empty)
    ]
    for cgroup in (sandbox, sidecar, empty):
        assert_is(by_id(record)[cgroup.id()], cgroup, held[cgroup.id()])
    exact("domain.children", by_id(record)[sidecar.id()], limit_bytes=24 * MIB)
    assert [child["limit_bytes"] for child in children] == [None, 24 * MIB, None, None]
    assert by_id(record)[app.id()]["usage_bytes"] == record["victims"][0]["usage_bytes"]
    assert by_id(record)[empty.id()]["usage_bytes"] <= BATCH_BYTES
    # A cgroup of its own costs its parent memory, and little of it.
    assert 0 <= record["domain"]["stat"]["gone_bytes"] < 2 * MIB


def test_of_more_than_are_kept_the_largest(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    names = [f"/oomkill-many/c{n}" for n in range(KEPT + 4)]
    many, *children = make_cgroups("/oomkill-many", *names)
    many.limit(64)
    for n in (0, 3, 5):  # and the last of all grows
        hog(children[n], f"anon {n + 1} ready wait").ready()
    held = {cgroup.id(): usage(cgroup) for cgroup in children[:-1]}
    assert hog(children[-1], "adj 1000 anon 64").was_killed()
    record = recorder.record()
    found = record["domain"]["children"]
    assert len(found) == KEPT
    usages = [child["usage_bytes"] for child in found]
    assert usages == sorted(usages, reverse=True)
    assert [child["cgroup"] for child in found[:4]] == [
        children[n].path for n in (KEPT + 3, 5, 3, 0)
    ]
    for n in (0, 3, 5):
        assert_is(by_id(record)[children[n].id()], children[n], held[children[n].id()])
    # Those that were not kept are in the sum all the same.
    assert_the_rest_is_gone(record, sum(held.values()) + usages[0], looked_at=4)


def test_of_more_than_are_looked_at_the_rest_is_unknown(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    names = [f"/oomkill-crowd/c{n}" for n in range(SEEN + 4)]
    crowd, *children = make_cgroups("/oomkill-crowd", *names)
    crowd.limit(48)
    hog(children[7], "anon 4 ready wait").ready()
    started = hog(children[100], "adj 1000 anon 64")
    assert started.was_killed()
    record = recorder.record()
    kernel_log.killed(started.pid)
    found = record["domain"]["children"]
    assert len(found) == KEPT
    assert [child["cgroup_id"] for child in found[:2]] == [children[100].id(), children[7].id()]
    stat = record["domain"]["stat"]
    assert stat["gone_bytes"] is None
    # What a cgroup's counters cost is charged to its parent.
    assert stat["percpu_bytes"] > len(children) * 1024 * (os.cpu_count() or 1)
    if stat["approximate"] is False:
        assert_stat_agrees(stat, kernel_log, crowd.path)


def test_a_cgroup_that_a_runtime_nests_is_its_containers(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog, hook: str
) -> None:
    pod, app, inner, sidecar = make_cgroups(
        "/oomkill-pod", "/oomkill-pod/app", "/oomkill-pod/app/inner", "/oomkill-pod/sidecar"
    )
    pod.limit(32)
    beside = hog(sidecar, "anon 6 ready wait").ready()
    within = hog(inner, "anon 5 ready wait").ready()
    assert hog(inner, "adj 1000 anon 64").was_killed()
    record = recorder.record()
    (victim,) = record["victims"]
    exact("victims", victim, cgroup=inner.path, cgroup_id=inner.id())
    children = record["domain"]["children"]
    assert [child["cgroup"] for child in children] == [app.path, sidecar.path]
    assert children[0]["usage_bytes"] >= victim["usage_bytes"]
    if hook == "raw_tracepoint":
        assert record["candidates"] is None
        return
    of = {other["pid"]: other for other in record["candidates"]}
    exact("candidates", of[beside.pid], cgroup_id=sidecar.id())
    exact("candidates", of[within.pid], cgroup_id=app.id())


def test_what_a_removed_one_left_in_a_tmpfs(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog, tmpfs: Path
) -> None:
    """Up to 6.18 a cgroup that is dying holds it; since 7.0 it is its parent's."""
    pod, earlier, app = make_cgroups("/oomkill-pod", "/oomkill-pod/earlier", "/oomkill-pod/app")
    pod.limit(40)
    writer = hog(earlier, f"write {tmpfs}/volume 20")
    assert writer.process.wait() == 0
    earlier_id = earlier.id()
    earlier.remove()
    assert usage(pod) >= 20 * MIB
    assert hog(app, "anon 64").was_killed()
    record = recorder.record()
    (child,) = record["domain"]["children"]
    exact("domain.children", child, cgroup=app.path, cgroup_id=app.id())
    assert child["cgroup_id"] != earlier_id
    gone = record["domain"]["stat"]["gone_bytes"]
    assert 20 * MIB - BATCH_BYTES <= gone <= 22 * MIB
    assert_the_rest_is_gone(record, child["usage_bytes"])
    assert record["domain"]["stat"]["shmem_bytes"] >= 20 * MIB - BATCH_BYTES


def test_its_own_limit_has_no_children(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-childless")
    cgroup.limit(16)
    assert hog(cgroup, "anon 64").was_killed()
    record, _ = judged()
    assert record["domain"]["children"] == []
    assert record["domain"]["stat"]["gone_bytes"] is None


@pytest.mark.needs("cgroup v1")
def test_with_processes_of_its_own_nothing_is_gone(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """What the children do not hold is then its own."""
    pod, app = make_cgroups("/oomkill-pod", "/oomkill-pod/app")
    pod.limit(32)
    hog(app, "anon 4 ready wait").ready()
    assert hog(pod, "adj 1000 anon 64").was_killed()
    record = recorder.record()
    assert [child["cgroup"] for child in record["domain"]["children"]] == [app.path]
    assert record["domain"]["stat"]["gone_bytes"] is None
