# SPDX-License-Identifier: Apache-2.0
"""Where the memory was: the record against the kernel's "Memory cgroup stats" and its counters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.memory_stat import (
    BATCH_BYTES,
    LACKING_BYTES,
    assert_adds_up,
    assert_stat_agrees,
)
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]


def counts_no_tables(cgroup: Cgroup, hog: Hog) -> bool:
    """Whether the kernel's own memory.stat has none of the many that the hog has by now."""
    hog.ready()
    lines = cgroup.read("memory.stat").splitlines()
    hog.go()
    return "pagetables 0" in lines


@pytest.mark.parametrize(
    ("script", "kind", "mib"),
    [
        ("anon 64", "anon", 24),
        ("shmem 20 anon 64", "shmem", 20),
        ("pipes 16 anon 64", "kernel", 16),
        ("tables 8 ready go anon 64", "pagetables", 8),
    ],
    ids=["anon", "tmpfs", "pipes", "page tables"],
)
def test_own_memory(
    script: str,
    kind: str,
    mib: int,
    recorder: Recorder,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-stat")
    cgroup.limit(32)
    started = hog(cgroup, script)
    uncounted = kind == "pagetables" and counts_no_tables(cgroup, started)
    assert started.was_killed()
    record = recorder.record()
    killed = kernel_log.killed(record["victims"][0]["tid"])
    stat = record["domain"]["stat"]
    assert_stat_agrees(stat, kernel_log, cgroup.path)
    assert_adds_up(record)
    assert record["victims"][0]["stat"] is None
    assert abs(stat["anon_bytes"] - record["victims"][0]["rss"]["anon_bytes"]) <= BATCH_BYTES
    assert killed.tid == started.pid
    if uncounted:
        assert stat["pagetables_bytes"] == 0
        pytest.skip("this kernel counts a process's page tables, but no cgroup's")
    if stat[f"{kind}_bytes"] is not None:
        assert stat[f"{kind}_bytes"] >= mib * MIB - LACKING_BYTES


def test_pod_of_two(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    pod, one, two = make_cgroups("/oomkill-pod", "/oomkill-pod/one", "/oomkill-pod/two")
    pod.limit(48)
    hog(one, "anon 4 shmem 6 pipes 5 ready wait").ready()
    assert hog(two, "shmem 2 anon 64").was_killed()
    record = recorder.record()
    kernel_log.killed(record["victims"][0]["tid"])
    stat = record["domain"]["stat"]
    victims = record["victims"][0]["stat"]
    assert_stat_agrees(stat, kernel_log, pod.path)
    assert_adds_up(record, cgroups=3)
    for kind, others in ("anon", 4), ("shmem", 6):
        rest = stat[f"{kind}_bytes"] - victims[f"{kind}_bytes"]
        assert others * MIB - LACKING_BYTES <= rest <= (others + 1) * MIB + LACKING_BYTES
    assert victims["shmem_bytes"] >= 2 * MIB - LACKING_BYTES


def test_a_storm_in_which_the_kernel_no_longer_adds_up(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    pod, one, two = make_cgroups("/oomkill-storm", "/oomkill-storm/one", "/oomkill-storm/two")
    pod.limit(24)
    hog(one, "anon 8 ready wait").ready()
    for _ in range(15):
        assert hog(two, "adj 1000 anon 32").was_killed()
        record = recorder.record()
        assert_adds_up(record, cgroups=3)
        stat, victims = record["domain"]["stat"], record["victims"][0]["stat"]
        assert stat["anon_bytes"] - victims["anon_bytes"] >= 7 * MIB
