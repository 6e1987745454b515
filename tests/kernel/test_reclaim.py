# SPDX-License-Identifier: Apache-2.0
"""Reclaim and refaults before a kill, held against the cgroup's own numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.memory_stat import BATCH_BYTES
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]


def read_again(cgroup: Cgroup) -> int:
    """Bytes of its page cache, ever, by its memory.stat; where v1 has none there, the machine's."""
    for text in (cgroup.read("memory.stat"), Path("/proc/vmstat").read_text()):
        numbers = dict(map(str.split, text.splitlines()))
        if "workingset_refault_file" in numbers:
            return int(numbers["workingset_refault_file"]) * os.sysconf("SC_PAGE_SIZE")
    raise AssertionError("this kernel counts no refaults")


def test_a_kill_that_comes_at_once(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """It is full for the first time: the kernel tries to free some, and finds nothing."""
    (cgroup,) = make_cgroups("/oomkill-at-once")
    cgroup.limit(32)
    assert hog(cgroup, "anon 64").was_killed()
    record = recorder.record()
    reclaim = record["before"]["reclaim"]
    assert reclaim["victim"] is None  # it is the domain
    episode = reclaim["domain"]
    assert episode["passes"] >= 1
    uptime = record["victims"][0]["uptime_seconds"]
    assert 0 < episode["first_before_seconds"] < uptime
    assert 0 < episode["stalled_seconds"] <= episode["first_before_seconds"]


def test_of_what_is_read_again_and_again(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog, uncached_file: Path
) -> None:
    """Twice its limit: what is read is gone before it comes again."""
    (cgroup,) = make_cgroups("/oomkill-again")
    cgroup.limit(32)
    at_first = read_again(cgroup)
    reading = hog(cgroup, f"reread {uncached_file} 64 1500 ready go anon 64").ready()
    earlier = read_again(cgroup) - at_first
    assert reading.go().was_killed()
    before = recorder.record()["before"]
    later = read_again(cgroup) - at_first
    slack = BATCH_BYTES  # what the file lags behind, and 5.10's CPUs keep to themselves
    assert earlier > 32 * MIB
    assert earlier - slack <= before["refaults"]["domain"]["file_bytes"] <= later + slack
    assert before["refaults"]["domain"]["anon_bytes"] == 0  # no swap
    assert before["refaults"]["victim"] is None
    assert before["reclaim"]["domain"]["passes"] > 100
    assert before["reclaim"]["domain"]["first_before_seconds"] > 0.5  # of reading, not of the end


def test_it_is_counted_for_the_cgroup_that_is_full(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    outer, inner = make_cgroups("/oomkill-full", "/oomkill-full/inner")
    outer.limit(32)
    inner.limit(128)
    assert hog(inner, "anon 64").was_killed()
    before = recorder.record()["before"]
    assert before["reclaim"]["domain"]["passes"] >= 1
    assert before["reclaim"]["victim"] is None  # it was never full
    again = before["refaults"]["victim"]  # the program itself may be dropped, and read again
    assert again["anon_bytes"] == 0  # no swap
    assert again["file_bytes"] <= read_again(inner) + BATCH_BYTES


def test_off_with_the_recorder(hook: str, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    (cgroup,) = make_cgroups("/oomkill-without")
    cgroup.limit(32)
    with Recorder(hook, "--recorder.max-cgroups", "0") as without:
        assert hog(cgroup, "anon 64").was_killed()
        before = without.record()["before"]
    assert before is None or (before["reclaim"], before["refaults"]) == (None, None)
