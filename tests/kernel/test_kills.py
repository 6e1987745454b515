# SPDX-License-Identifier: Apache-2.0
"""One process killed in one cgroup: the record against the kernel's own words."""

from __future__ import annotations

import os
import platform
import secrets
import uuid
from collections.abc import Callable
from pathlib import Path

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact, near
from ..support.kernel.judging import (
    CHARGED_AHEAD,
    assert_agrees,
    assert_explains,
    assert_numbered_on,
)
from ..support.kernel.kernel_log import KernelLog
from ..support.kernel.processes import Hog, Recorder

CONTAINER = secrets.token_hex(32)
POD = str(uuid.uuid4())

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]


def test_own_limit(
    recorder: Recorder,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    hook: str,
    fast_count_error_bytes: int,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-own")
    cgroup.limit(32)
    started = hog(cgroup, "name eater adj 123 uid 4711 shmem 4 anon 64")
    assert started.was_killed()

    record = recorder.record()
    (victim,) = record["victims"]
    killed = kernel_log.killed(victim["tid"])
    assert_agrees(victim, killed, fast_count_error_bytes)
    if kernel_log.report:
        assert_explains(record, kernel_log.report)
    assert victim["uid"] == 4711
    assert victim["oom_score_adj"] == 123
    pid = started.pid
    exact("victims", victim, pid=pid, tid=pid, pid_in_container=pid, ppid=os.getpid())
    exact("victims", victim, parent_command=Path("/proc/self/comm").read_text().rstrip("\n"))
    exact("victims", victim, cgroup=cgroup.path, cgroup_id=cgroup.id())
    exact("victims", victim, limit_bytes=cgroup.limit_bytes())
    assert victim["rss"]["shmem_bytes"] >= 4 * MIB  # and hog itself, where /tmp is a tmpfs
    assert victim["rss"]["anon_bytes"] > 24 * MIB
    assert victim["vm"]["hiwater_rss_bytes"] >= victim["rss"]["anon_bytes"]
    assert victim["minor_faults"] >= victim["rss"]["anon_bytes"] // os.sysconf("SC_PAGE_SIZE")

    domain = record["domain"]
    exact("domain", domain, cgroup=cgroup.path, cgroup_id=cgroup.id())
    exact("domain", domain, limit_bytes=cgroup.limit_bytes(), peak_bytes=cgroup.peak_bytes())
    # Until the mark, where this hook looks, a CPU may give back what it had charged in advance.
    given_back = CHARGED_AHEAD if hook == "raw_tracepoint" else 0
    near("domain", domain, given_back, usage_bytes=32 * MIB)
    assert record["scope"] == "container"
    exact("", record, hook=hook, kernel=platform.release(), node=platform.node())
    exact("trigger", record["trigger"], pid=pid, tid=pid, cgroup=cgroup.path)
    assert cgroup.oom_kills() == 1
    assert record["node_memory"] is None  # nothing of the node is read for a cgroup's limit

    if hook != "raw_tracepoint":  # which has no oom_control
        exact("", record, message=killed.message)
        assert record["oom"]["constraint"] == "memcg"
        assert record["oom"]["total_bytes"] >= 32 * MIB
        assert victim["points"] == record["oom"]["points"] > 0
        assert record["inferred"] is False
    else:
        assert record["oom"]["order"] is None
        assert record["message"] is None
        assert record["inferred"] is True


def test_kills_come_in_order_and_once(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-again")
    cgroup.limit(32)
    killed, records = [], []
    for _ in range(3):
        started = hog(cgroup, "anon 64")
        assert started.was_killed()
        killed.append(started.pid)
        records.append(recorder.record())
    pids = [kernel_log.killed(pid).tid for pid in killed]
    assert [record["victims"][0]["pid"] for record in records] == pids
    assert_numbered_on(recorder, records)
    assert [record["boot_ns"] for record in records] == sorted(r["boot_ns"] for r in records)


def test_pod_limit(
    recorder: Recorder,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    fast_count_error_bytes: int,
) -> None:
    pod = f"/kubepods/burstable/pod{POD}"
    container = f"{pod}/{CONTAINER}"
    cgroups = make_cgroups("/kubepods", "/kubepods/burstable", pod, container)
    cgroups[2].limit(32)
    assert hog(cgroups[3], "anon 64").was_killed()

    record = recorder.record()
    (victim,) = record["victims"]
    killed = kernel_log.killed(victim["tid"])
    assert_agrees(victim, killed, fast_count_error_bytes)
    assert record["scope"] == "pod"
    assert record["domain"]["cgroup"] == pod
    assert record["domain"]["cgroup_id"] == cgroups[2].id()
    assert record["domain"]["limit_bytes"] == 32 * MIB
    assert victim["cgroup"] == container
    assert victim["cgroup_id"] == cgroups[3].id()
    assert victim["limit_bytes"] is None
    assert record["container"]["id"] == CONTAINER
    assert record["container"]["pod_uid"] == POD
    assert record["trigger"]["container_id"] == CONTAINER


def take_second_kill(asker: Hog, recorder: Recorder, kernel_log: KernelLog) -> None:
    """Where the victim's memory is not free in time, the kernel kills the asker as well."""
    assert asker.process.stdout is not None
    if asker.process.stdout.readline() != "ready\n":
        assert asker.was_killed()
        (victim,) = recorder.record()["victims"]
        assert victim["tid"] == kernel_log.killed(asker.pid).tid


def test_another_task_asked(
    recorder: Recorder,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    fast_count_error_bytes: int,
    handed_over_bytes: int,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-other")
    cgroup.limit(32)
    big = hog(cgroup, "name big adj 1000 anon 20 ready wait").ready()
    small = hog(cgroup, "name small anon 16 ready wait")
    assert big.was_killed()
    record = recorder.record()
    (victim,) = record["victims"]
    killed = kernel_log.killed(victim["tid"])
    take_second_kill(small, recorder, kernel_log)
    assert_agrees(victim, killed, fast_count_error_bytes, handed_over_bytes)
    assert (victim["pid"], victim["command"]) == (big.pid, "big")
    assert (record["trigger"]["pid"], record["trigger"]["command"]) == (small.pid, "small")


def test_another_task_asked_and_at_least_the_pid_is_known(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-pid")
    cgroup.limit(32)
    big = hog(cgroup, "adj 1000 anon 20 ready wait").ready()
    small = hog(cgroup, "anon 16 ready wait")
    assert big.was_killed()
    record = recorder.record()
    (victim,) = record["victims"]
    killed = kernel_log.killed(victim["tid"])
    take_second_kill(small, recorder, kernel_log)
    assert victim["tid"] == killed.tid == big.pid
    assert record["trigger"]["pid"] == small.pid
    assert record["trigger"]["cgroup"] == cgroup.path


def test_threads_and_a_dead_leader(
    recorder: Recorder,
    kernel_log: KernelLog,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    hook: str,
    fast_count_error_bytes: int,
    handed_over_bytes: int,
) -> None:
    (cgroup,) = make_cgroups("/oomkill-leader")
    cgroup.limit(32)
    started = hog(cgroup, "name headless threads 3 leave anon 64")
    assert started.was_killed()
    record = recorder.record()
    (victim,) = record["victims"]
    killed = kernel_log.killed(victim["tid"])
    assert_agrees(victim, killed, fast_count_error_bytes, 5 * handed_over_bytes)
    assert victim["pid"] == started.pid
    assert victim["tid"] != victim["pid"]
    assert victim["pid_in_container"] == started.pid
    # The leader stays as a zombie until its threads are gone. The raw tracepoint comes after
    # SIGKILL, when some may have left.
    assert victim["threads"] == (None if hook == "raw_tracepoint" else 5)
    assert victim["rss"]["anon_bytes"] > 24 * MIB
    assert victim["started_at"] is not None
    assert victim["started_at"] < record["time"]


def test_inside_a_pid_namespace(
    recorder: Recorder, kernel_log: KernelLog, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-pidns")
    cgroup.limit(32)
    hog(cgroup, "name first anon 64", wrap=["unshare", "--pid", "--fork", "--kill-child"])
    record = recorder.record()
    (victim,) = record["victims"]
    assert victim["pid_in_container"] == 1
    assert victim["pid"] == kernel_log.killed(victim["pid"]).tid
    assert victim["pid"] > 1
