# SPDX-License-Identifier: Apache-2.0
"""Scripted kills, each with the shape that its usage has: by the flight recorder, on a short tick.

A tick is 40 ms instead of a second, so that a minute takes 2.4 s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

TICK = 0.04  # seconds
LIMIT_MIB = 32


@pytest.fixture(scope="module")
def attached(hook: str) -> Iterator[Recorder]:
    with Recorder(hook, "--recorder.interval", str(TICK)) as recorder:
        yield recorder


@pytest.fixture
def short_ticks(attached: Recorder) -> Recorder:
    attached.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return attached


SCRIPTS = {
    "leak": "anon 2 grow 64 6000",
    "start_up": "grow 64 800",
    "ramp": "anon 8 sleep 6000 grow 64 3200",
    "sawtooth": "anon 2 saw 20 300 8 sleep 40 anon 64",
}


@pytest.mark.needs("flight recorder")
@pytest.mark.parametrize("shape", SCRIPTS)
def test_shapes(
    shape: str, short_ticks: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    (cgroup,) = make_cgroups("/oomkill-" + shape.replace("_", "-"))
    cgroup.limit(LIMIT_MIB)
    assert hog(cgroup, SCRIPTS[shape]).was_killed()
    assert_shape(short_ticks, shape)


@pytest.mark.needs("flight recorder")
def test_a_spike(hook: str, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    """With a longer tick: a spike has ten, and on a busy machine this takes some 0.1 s."""
    with Recorder(hook, "--recorder.interval", "0.2") as recorder:
        time.sleep(1)  # for a walk: what is made after it is known from its beginning
        (cgroup,) = make_cgroups("/oomkill-spike")
        cgroup.limit(16)  # a guest may take two seconds for 20 MiB
        assert hog(cgroup, "anon 8 sleep 5000 anon 64").was_killed()
        assert_shape(recorder, "spike", limit_mib=16)


@pytest.mark.needs("flight recorder")
@pytest.mark.needs("a quiet machine")  # or it is not at its limit within its seconds
def test_a_plateau(
    short_ticks: Recorder, make_cgroups: MakeCgroups, hog: StartHog, uncached_file: Path
) -> None:
    """It reads a file twice its limit again and again: what is read is gone before it comes again.

    The kernel reclaims page cache for as long as there is some, so only what is asked for at the
    end kills.
    """
    (cgroup,) = make_cgroups("/oomkill-plateau")
    cgroup.limit(LIMIT_MIB)
    assert hog(cgroup, f"anon 4 sleep 3000 reread {uncached_file} 64 6000 anon 64").was_killed()
    record = assert_shape(short_ticks, "plateau")
    recording = record["before"]["usage"]["domain"]
    assert ", close to its limit, for " in record["verdict"]
    assert "would have been enough" not in record["verdict"]  # nobody knows
    settled = [each for each in recording["series"][0]["usage_bytes"][-40:] if each is not None]
    assert len(settled) > 20
    assert min(settled) > 0.8 * LIMIT_MIB * MIB


def assert_shape(recorder: Recorder, shape: str, *, limit_mib: int = LIMIT_MIB) -> dict[str, Any]:
    record = recorder.record()
    before = record["before"]
    assert before["shape"] == shape, before
    assert before["source"] == "kernel"
    recording = before["usage"]["domain"]
    assert recording["whole_life"]
    assert recording["limits"][-1]["limit_bytes"] == limit_mib * MIB
    assert before["usage"]["victim"] is None  # it is the domain
    return record
