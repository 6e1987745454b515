# SPDX-License-Identifier: Apache-2.0
"""The flight recorder: held against the kernel's own numbers, sampled beside it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.probe.attach import attach
from container_oomkill.probe.object_file import read_object
from container_oomkill.probe.probe import Probe
from container_oomkill.recorder.settings import RecorderSettings

from ..support.kernel.cgroups import MIB, Cgroup, is_v1
from ..support.kernel.mounts import mounted
from ..support.kernel.processes import Hog, Recorder
from ..support.waiting import eventually

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]

pytestmark = pytest.mark.needs("flight recorder")

TICK = 0.01  # seconds
PAGE_NOISE = MIB  # what each CPU may have taken out of the counter in advance, and more
ROUNDING_NS = 1_000_000  # a record's times are in whole milliseconds


@pytest.fixture(scope="module")
def attached(hook: str) -> Iterator[Recorder]:
    with Recorder(hook, "--recorder.interval", str(TICK)) as recorder:
        yield recorder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For pins, on a bpf file system of the test's own: what is pinned there goes with it."""
    with mounted(tmp_path / "bpf", "-t", "bpf", "bpf") as mount:
        yield mount / "pins"


@contextlib.contextmanager
def flight(hook: str, **settings: Any) -> Iterator[Probe]:
    """Hooks and a recorder in this process."""
    chosen = RecorderSettings(**{"interval_seconds": TICK, **settings})
    with attach(read_object(), hook=hook, recorder=chosen) as probe:
        assert probe.recorder_refused is None
        yield probe


def status(probe: Probe) -> dict[str, int]:
    found = probe.recorder_status()
    assert found is not None
    return found


def usage(cgroup: Cgroup) -> int:
    return int(cgroup.read("memory.usage_in_bytes" if is_v1() else "memory.current"))


def test_the_series_is_the_kernels_own(
    attached: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """Every value lies between the least and the most that the file said around that time."""
    attached.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    (cgroup,) = make_cgroups("/oomkill-beside")
    cgroup.limit(32)
    hog_ = hog(cgroup, "anon 1 go grow 8 150 sleep 100 grow 8 150 anon 64")
    beside: list[tuple[int, int, int]] = []  # from, to, bytes
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                used = usage(cgroup)
                beside.append((began, time.clock_gettime_ns(time.CLOCK_BOOTTIME), used))

    watching = threading.Thread(target=watch)
    watching.start()
    hog_.go()
    assert hog_.was_killed()
    done.set()
    watching.join()
    record = attached.record()
    recording = record["before"]["usage"]["domain"]
    fine = recording["series"][0]
    newest = record["boot_ns"] - fine["newest_before_seconds"] * 1e9
    compared = 0
    for back, value in enumerate(reversed(fine["usage_bytes"])):
        at = newest - back * TICK * 1e9
        surely = at - ROUNDING_NS
        earlier = [number for number, (_, ended, _) in enumerate(beside) if ended <= surely]
        later = [number for number, (began, _, _) in enumerate(beside) if began >= at + 3e7]
        if value is None or not earlier or not later:
            continue
        near = [used for _, _, used in beside[earlier[-1] : later[0] + 1]]
        if max(near) > 30 * MIB:
            continue  # at its limit the kernel reclaims, and it goes up and down between two looks
        assert min(near) - PAGE_NOISE <= value <= max(near) + PAGE_NOISE, (back, value, near)
        compared += 1
    assert compared > 10


def test_the_victims_cgroup_and_the_domain(
    attached: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    attached.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    outer, inner, beside = make_cgroups(
        "/oomkill-outer", "/oomkill-outer/inner", "/oomkill-outer/beside"
    )
    outer.limit(32)
    hog(beside, "anon 8 ready wait").ready()
    assert hog(inner, "anon 2 sleep 200 grow 64 300").was_killed()
    found = attached.record()["before"]["usage"]
    domain, victim = (found[which]["series"][0]["usage_bytes"] for which in ("domain", "victim"))
    assert domain[-1] - victim[-1] > 7 * MIB
    assert found["domain"]["limits"][-1]["limit_bytes"] == 32 * MIB
    assert found["victim"]["limits"][-1]["limit_bytes"] is None


def test_a_limit_that_was_lowered_shows(
    attached: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    attached.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    (cgroup,) = make_cgroups("/oomkill-lowered")
    cgroup.limit(64)
    waiting = hog(cgroup, "anon 20 ready go grow 16 200").ready()
    time.sleep(30 * TICK)
    cgroup.limit(22)
    time.sleep(30 * TICK)
    assert waiting.go().was_killed()
    record = attached.record()
    before = record["before"]
    limits = [limit["limit_bytes"] for limit in before["usage"]["domain"]["limits"]]
    assert limits[-2:] == [64 * MIB, 22 * MIB]
    assert before["shape"] == "limit_lowered"
    assert "the limit had been lowered from 64.0 MiB to 22.0 MiB" in record["verdict"]


def test_pinned_it_goes_on_while_no_process_runs(
    hook: str, folder: Path, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """The kill comes while nobody is there; its series is whole, and so is the next one's."""
    options = ("--pin", str(folder), "--recorder.interval", str(TICK))
    (cgroup,) = make_cgroups("/oomkill-alone")
    cgroup.limit(16)  # little more than it settles at: a guest may take two seconds for 20 MiB
    with Recorder(hook, *options) as first:
        first.process.kill()
    script = "anon 8 sleep 900 anon 64"
    assert hog(cgroup, script).was_killed()
    with Recorder(hook, *options) as second:
        found = [second.record()]
        assert hog(cgroup, script).was_killed()
        found.append(second.record())
        assert second.stop() == 0
    for record in found:
        values = record["before"]["usage"]["domain"]["series"][0]["usage_bytes"]
        settled = [each for each in values if each is not None]
        assert len(settled) > 20
        # 8 MiB of its own, and what the kernel charges a process for: more on cgroup v2.
        assert all(7 * MIB <= each <= 16 * MIB for each in settled), settled
    assert found[1]["before"]["usage"]["domain"]["recorded_seconds"] > (
        found[0]["before"]["usage"]["domain"]["recorded_seconds"] + 0.9
    )


@pytest.mark.needs("the whole matrix")  # the walk alone, no kill
def test_it_sees_every_cgroup_and_forgets_those_that_are_gone(
    hook: str, make_cgroups: MakeCgroups
) -> None:
    with flight(hook) as probe:
        make_cgroups("/oomkill-many", *(f"/oomkill-many/{n}" for n in range(300)))
        found = eventually(lambda: each if (each := status(probe))["cgroups"] >= 301 else None)
        assert found["recorded"] == found["cgroups"]
        assert found["cut_walks"] == 0


@pytest.mark.needs("the whole matrix")  # the walk alone, no kill
def test_without_room_for_all_it_keeps_those_it_has(hook: str, make_cgroups: MakeCgroups) -> None:
    with flight(hook, max_cgroups=16) as probe:
        make_cgroups("/oomkill-few", *(f"/oomkill-few/{n}" for n in range(60)))
        eventually(lambda: status(probe)["cgroups"] > 60)
        eventually(lambda: status(probe)["recorded"] == 16)


def test_cgroups_that_come_and_go_while_it_walks(
    attached: Recorder, make_cgroups: MakeCgroups, hog: StartHog
) -> None:
    """What is removed in the middle of a walk costs no other cgroup its record."""
    attached.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    churn, cgroup = make_cgroups("/oomkill-churn", "/oomkill-steady")
    cgroup.limit(16)  # little more than it settles at, as above
    deep = Path(churn.folder, *(str(level) for level in range(40)))
    deep.mkdir(parents=True)
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            made = [deep / f"c{number}" for number in range(50)]
            for each in made:
                each.mkdir()
            for each in made:
                each.rmdir()

    churning = threading.Thread(target=come_and_go)
    churning.start()
    try:
        killed = hog(cgroup, "anon 8 sleep 4000 anon 64").was_killed()
    finally:
        done.set()
        churning.join()
        for level in range(40, 0, -1):
            Path(churn.folder, *(str(each) for each in range(level))).rmdir()
    assert killed
    before = attached.record()["before"]
    values = before["usage"]["domain"]["series"][0]["usage_bytes"]
    # Once it holds its 8 MiB it goes on holding them, and no other cgroup's sample would fit in.
    # Not to the page: a CPU charges 64 ahead and gives them back, and the kernel's own come and go.
    known = [each for each in values if each is not None]
    held = list(dropwhile(lambda each: each < 8 * MIB, known))
    assert all(7 * MIB <= each <= 16 * MIB for each in held), known
    assert sum(8 * MIB <= each <= 16 * MIB for each in known) > 20, known
