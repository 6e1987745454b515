# SPDX-License-Identifier: Apache-2.0
"""Victims whose memory is not, or not only, their own in the cgroup that ran out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.memory_stat import BATCH_BYTES
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]


def test_a_process_that_was_moved_frees_nothing(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """What it had touched stays charged where it was then; the next kill follows at once."""
    earlier, cgroup = make_cgroups("/oomkill-earlier", "/oomkill-later")
    earlier.limit(64)
    cgroup.limit(20)
    moved = hog(earlier, "name moved anon 32 ready wait").ready()
    cgroup.write("cgroup.procs", str(moved.pid))
    grower = hog(cgroup, "name grower anon 64")
    assert moved.was_killed()
    assert grower.was_killed()
    first, second = recorder.record(), recorder.record()
    (victim,) = first["victims"]
    exact("victims", victim, pid=moved.pid, cgroup=cgroup.path)
    exact("domain", first["domain"], cgroup=cgroup.path, limit_bytes=20 * MIB)
    assert victim["rss"]["anon_bytes"] >= 32 * MIB - BATCH_BYTES
    assert first["domain"]["stat"]["anon_bytes"] <= 20 * MIB
    exact("victims", second["victims"][0], pid=grower.pid)
    # The first one's end has given the cgroup nothing back.
    for record in (first, second):
        assert record["domain"]["usage_bytes"] >= 20 * MIB - BATCH_BYTES
    assert second["domain"]["stat"]["anon_bytes"] >= first["domain"]["stat"]["anon_bytes"]
    assert cgroup.oom_kills() == 2
    assert earlier.oom_kills() == 0


def test_a_reader_of_a_tmpfs_that_another_has_filled(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, tmpfs: Path
) -> None:
    filler, reader = make_cgroups("/oomkill-filler", "/oomkill-reader")
    filler.limit(64)
    reader.limit(16)
    assert hog(filler, f"write {tmpfs}/shared 24").process.wait() == 0
    started = hog(reader, f"file {tmpfs}/shared 24 anon 64")
    assert started.was_killed()
    record, victim = judged()
    exact("victims", victim, pid=started.pid)
    assert victim["rss"]["shmem_bytes"] >= 24 * MIB
    assert record["domain"]["stat"]["shmem_bytes"] <= BATCH_BYTES
    assert record["domain"]["cgroup"] == reader.path


@pytest.mark.needs("a look at the others")
def test_workers_share_what_they_had_before_they_were_forked(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """So the processes' sizes add up to more than there is."""
    (cgroup,) = make_cgroups("/oomkill-preforked")
    cgroup.limit(32)
    master = hog(cgroup, "name master anon 16 children 3 ready anon 32").ready()
    assert master.was_killed()
    record = recorder.record()
    workers = record["candidates"]
    assert len(workers) == 3
    for worker in workers:
        assert worker["rss_bytes"] >= 15 * MIB
    rss = sum(record["victims"][0]["rss"].values()) + sum(each["rss_bytes"] for each in workers)
    assert rss > 2 * record["domain"]["usage_bytes"]
    assert record["domain"]["stat"]["anon_bytes"] <= 32 * MIB
