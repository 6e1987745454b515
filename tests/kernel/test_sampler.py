# SPDX-License-Identifier: Apache-2.0
"""Real kills, sampled from user space: as on kernels that have no flight recorder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from container_oomkill.recorder.sampler import Sampler, find_layout
from container_oomkill.recorder.settings import RecorderSettings
from container_oomkill.sinks.record import from_object

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.processes import Hog, Recorder
from ..support.waiting import eventually

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

TICK = 0.05  # seconds; emulated guests take milliseconds for all of their cgroups
SCRIPTS = {
    "leak": "anon 2 grow 64 12000",
    "ramp": "anon 8 sleep 6000 grow 64 3600",
    "sawtooth": "anon 2 saw 20 375 8 sleep 50 anon 64",
}


@pytest.fixture(scope="module")
def attached(hook: str) -> Iterator[Recorder]:
    options = ("--recorder.sampler", "--recorder.interval", str(TICK))
    with Recorder(hook, *options) as recorder:
        assert recorder.process.stderr is not None
        assert b"sampling " in recorder.process.stderr.readline()
        time.sleep(10 * TICK)  # for a walk: what is made after it is known from its beginning
        yield recorder


def test_a_series_of_a_kill(hook: str, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    """By the class itself, which every kernel can run."""
    layout = find_layout("")
    assert layout is not None
    outer, inner = make_cgroups("/oomkill-sampled", "/oomkill-sampled/inner")
    outer.limit(16)  # little more than it settles at: a guest may take two seconds for 20 MiB
    options = RecorderSettings(interval_seconds=TICK, sampler=True)
    with (
        Recorder(hook, "--recorder.max-cgroups", "0") as recorder,
        Sampler(options, layout) as sampler,
    ):
        # What tells of kills has been imported then: three seconds are all that a series has.
        assert hog(inner, "anon 64").was_killed()
        recorder.record()
        sampler.start()
        eventually(lambda: sampler.status()["walks"] > 0)
        assert hog(inner, "anon 8 sleep 2000 anon 64").was_killed()
        found = sampler(from_object(recorder.record())).before
    assert found is not None
    assert (found.source, found.usage.victim is not None) == ("sampler", True)
    assert found.usage.domain is not None
    values = [each for each in found.usage.domain.series[0].usage_bytes if each is not None]
    assert len(values) > 10
    settled = [each for each in values if 7 * MIB <= each <= 16 * MIB]
    assert len(settled) > len(values) // 2
    assert [limit.limit_bytes for limit in found.usage.domain.limits][-1] == 16 * MIB


@pytest.mark.needs("no flight recorder")
@pytest.mark.parametrize("shape", SCRIPTS)
def test_shapes(shape: str, attached: Recorder, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    attached.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    (cgroup,) = make_cgroups(f"/oomkill-sampled-{shape}")
    cgroup.limit(32)
    assert hog(cgroup, SCRIPTS[shape]).was_killed()
    before = attached.record()["before"]
    assert (before["source"], before["shape"]) == ("sampler", shape), before
    assert before["usage"]["domain"]["whole_life"]
    assert before["reclaim"]["domain"]["passes"] >= 1


@pytest.mark.needs("no flight recorder")
def test_without_the_option_there_is_none(
    hook: str, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-unsampled")
    cgroup.limit(32)
    with Recorder(hook) as recorder:
        assert hog(cgroup, "anon 64").was_killed()
        before = recorder.record()["before"]
    assert before["source"] is None
    assert before["reclaim"]["domain"]["passes"] >= 1
