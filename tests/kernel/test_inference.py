# SPDX-License-Identifier: Apache-2.0
"""What ran out, where the hook is not told: by the cgroups' own counts, not by usage alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.needs import SPARE_NODE
from ..support.kernel.processes import Hog, Recorder
from ..support.kernel.sysrq import kill_by_sysrq

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Judged = Callable[..., tuple[dict[str, Any], dict[str, Any]]]

NODE = SPARE_NODE.name.removeprefix("node")
CLOSE = 0.96  # of its limit: is within CLOSE_SHIFT, bpf/memcg.bpf.h, and not full


def test_a_limit_is_told_from_a_fuller_cgroup_above(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """The outer one is as good as full as well, and did not run out."""
    outer, inner = make_cgroups("/oomkill-outer", "/oomkill-outer/inner")
    outer.limit(34)
    inner.limit(32)
    for _ in range(2):
        assert hog(inner, "anon 64").was_killed()
        record, _ = judged()
        exact("domain", record["domain"], cgroup=inner.path, limit_bytes=32 * MIB)
        assert record["scope"] == "container"


def test_a_limit_is_told_again_and_again(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """First the inner one's, then the outer one's, then the inner one's again."""
    outer, inner = make_cgroups("/oomkill-outer", "/oomkill-outer/inner")
    for outer_mib, inner_mib in (48, 24), (16, 24), (48, 24):
        outer.limit(outer_mib)
        inner.limit(inner_mib)
        assert hog(inner, "anon 64").was_killed()
        record = recorder.record()
        expected = inner if inner_mib < outer_mib else outer
        exact("domain", record["domain"], cgroup=expected.path)
        assert record["inferred"] is (record["hook"] == "raw_tracepoint")


@pytest.mark.needs("guest")
def events_of(cgroup: Cgroup) -> dict[str, int]:
    lines = cgroup.read("memory.events.local").splitlines()
    return {name: int(count) for name, count in (line.split() for line in lines)}


def killed_close_to_its_limit(
    cgroup: Cgroup, start: Callable[[], Hog], recorder: Recorder
) -> tuple[dict[str, Any], dict[str, int]]:
    """Set its limit to a little more than the node has room for, which differs each time.

    Return the record of the kill for which that was so, and the cgroup's events before it.
    """
    limit = None
    for _ in range(8):
        before = events_of(cgroup)
        assert start().was_killed()
        record = recorder.record()
        used = record["victims"][0]["usage_bytes"]
        if limit is not None and 15 * limit // 16 < used < limit - MIB:
            return record, before
        limit = int(used / CLOSE) // MIB * MIB
        cgroup.limit(limit // MIB)
    raise AssertionError("the node never had room for nearly its limit")


@pytest.mark.needs("cgroup v2")
@pytest.mark.needs("nodes")
def test_close_to_its_limit_and_not_the_cause(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """The memory node runs out while the victim's cgroup has little left, but some."""
    (cgroup,) = make_cgroups("/oomkill-close")
    script = f"name bound adj 1000 bind {NODE} anon 256"
    record, before = killed_close_to_its_limit(cgroup, lambda: hog(cgroup, script), recorder)
    assert record["domain"] is None
    after = events_of(cgroup)
    assert after["oom"] == before["oom"]
    assert after["oom_kill"] == before["oom_kill"] + 1
    if record["hook"] == "raw_tracepoint":
        assert record["scope"] == "node"
        assert record["inferred"] is True
    else:
        assert record["scope"] == "mempolicy"


@pytest.mark.needs("guest")
def test_sysrq_takes_one_at_its_limit(
    judged: Judged, make_cgroups: MakeCgroups, hog: StartHog, handed_over_bytes: int
) -> None:
    """What its cgroup has left says nothing: somebody asked for it."""
    (cgroup,) = make_cgroups("/oomkill-full")
    cgroup.limit(32)
    started = hog(cgroup, "name picked adj 1000 anon 30 ready wait").ready()
    kill_by_sysrq()
    assert started.was_killed()
    record, victim = judged(handed_over_bytes)
    exact("victims", victim, pid=started.pid, cgroup=cgroup.path)
    assert record["domain"] is None
    assert record["oom"]["order"] == -1
    assert record["scope"] == "manual"
    assert record["trigger"]["command"].startswith("kworker/")
