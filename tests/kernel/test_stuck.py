# SPDX-License-Identifier: Apache-2.0
"""Out of memory without a kill: one record for each time, from its begin to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.evidence import exact
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Stuck = Callable[..., dict[str, Any]]

LONG_ENOUGH = 7  # seconds; it takes the kernel side 3, up to two ticks, and a hog under way

pytestmark = pytest.mark.needs("flight recorder")


@pytest.fixture
def stuck(recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog) -> Stuck:
    """Have a hog stuck in a cgroup, then kill it; give the record."""
    (cgroup,) = make_cgroups("/oomkill-stuck")
    cgroup.limit(24)

    def run(script: str, *, inside: bool = True, **files: str) -> dict[str, Any]:
        for name, text in files.items():
            cgroup.write(name.replace("__", "."), text)
        script = script.format(procs=cgroup.folder / "cgroup.procs")
        started = hog(cgroup if inside else None, script)
        # While it goes on: what is read of a cgroup that is gone is nothing.
        recorder.wait_until_said(f"{cgroup.folder.name} is stuck")
        assert started.process.poll() is None
        assert cgroup.oom_kills() == 0
        started.close()
        cgroup.remove()
        record = recorder.stuck(cgroup.path)
        exact("stuck", record, kind="stuck", cgroup=cgroup.path)
        assert record["stuck"]["ended"] is True
        assert record["stuck"]["seconds"] > 0
        return record

    return run


@pytest.mark.needs("cgroup v1")
def test_waits_by_oom_control(stuck: Stuck) -> None:
    record = stuck("anon 64", memory__oom_control="1")
    exact("stuck", record["stuck"], cause="oom_disabled")
    exact("stuck", record, limit_bytes=24 * MIB)
    assert "memory.oom_control" in record["verdict"]


@pytest.mark.needs("CAP_SYS_RESOURCE")
def test_nothing_may_be_killed(stuck: Stuck) -> None:
    record = stuck("adj -1000 anon 64")
    exact("stuck", record["stuck"], cause="nothing_killable")
    exact("stuck", record, limit_bytes=24 * MIB)
    assert record["stuck"]["events"] > 1
    assert "-1000" in record["verdict"]


def test_charges_are_refused(stuck: Stuck) -> None:
    """It could be killed by its oom_score_adj, but the kernel spares what is about to exec."""
    record = stuck("files 4096 vfork {procs} refused 32", inside=False)
    exact("stuck", record["stuck"], cause="charge_refused")
    exact("stuck", record, limit_bytes=24 * MIB)
    assert record["stuck"]["events"] > 1
    assert "ENOMEM" in record["verdict"]


@pytest.mark.needs("cgroup v2")
def test_throttled(stuck: Stuck) -> None:
    record = stuck("anon 20", memory__high=str(8 * MIB))
    exact("stuck", record["stuck"], cause="throttled")
    exact("stuck", record, high_bytes=8 * MIB)
    assert record["usage_bytes"] > 8 * MIB
    assert "memory.high" in record["verdict"]


def test_a_kill_is_nothing_of_the_kind(
    recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """Not even kill after kill, for longer than it takes."""
    (cgroup,) = make_cgroups("/oomkill-killed")
    cgroup.limit(8)
    until = time.monotonic() + LONG_ENOUGH
    while time.monotonic() < until:
        assert hog(cgroup, "anon 64").was_killed()
        recorder.record()
        time.sleep(0.5)
    cgroup.remove()
    time.sleep(2)  # of what is gone, the next walk would tell
    assert cgroup.path not in recorder.were_stuck()
