# SPDX-License-Identifier: Apache-2.0
"""memory.pressure and memory.events of the cgroups of a kill, from a cgroup file system on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from container_oomkill.incident.before import (
    KERNEL,
    Averages,
    Before,
    Events,
    EventsOf,
    Pressure,
    Recording,
    Stalls,
    Usage,
)
from container_oomkill.incident.model import Domain, Incident
from container_oomkill.incident.pressure import PressureReader

from ..support.incidents import incident, victim

NOW_NS = 5_000_000_000
PRESSURE = (
    "some avg10=39.64 avg60=14.04 avg300=3.28 total=9412331\n"
    "full avg10=18.36 avg60=6.50 avg300=1.00 total=4412331\n"
)
EVENTS = "low 0\nhigh 7\nmax 2000\noom 1\noom_kill 1\noom_group_kill 0\nsock_throttled 0\n"
FOUND = Stalls(Averages(39.64, 14.04, 3.28), Averages(18.36, 6.5, 1.0))


def folder(root: Path, path: str, **files: str) -> int:
    """Return the id of a cgroup made there."""
    made = root / "sys/fs/cgroup" / path.lstrip("/")
    made.mkdir(parents=True)
    for name, text in files.items():
        (made / name.replace("_", ".")).write_text(text)
    return made.stat().st_ino


def killed(domain: int | None, own: int | None, **changes: Any) -> Incident:
    values = {
        "domain": None if domain is None else Domain(cgroup="/pod", cgroup_id=domain),
        "victims": (victim(cgroup="/pod/app", cgroup_id=own),),
        "boot_ns": NOW_NS - 3_000_000,
    }
    return incident(**(values | changes))


def read(root: Path, given: Incident) -> Before | None:
    return PressureReader(str(root), boot_ns=lambda: NOW_NS)(given).before


def test_of_the_domain_and_the_victims_cgroup(tmp_path: Path) -> None:
    pod = folder(tmp_path, "/pod", memory_pressure=PRESSURE, memory_events=EVENTS)
    app = folder(tmp_path, "/pod/app", memory_pressure=PRESSURE.replace("39.64", "0.00"))
    before = read(tmp_path, killed(pod, app))
    assert before == Before(
        pressure=Pressure(FOUND, Stalls(Averages(0.0, 14.04, 3.28), FOUND.full)),
        events=Events(EventsOf(max=2000, high=7), None),
        read_after_seconds=0.003,
    )
    before = read(tmp_path, killed(pod, pod))  # it is the domain
    assert before is not None
    assert before.pressure == Pressure(FOUND, None)
    before = read(tmp_path, killed(None, app))
    assert before is not None
    assert before.pressure is not None
    assert before.pressure.domain is None
    assert before.pressure.victim is not None


def test_major_faults_those_below_it_included(tmp_path: Path) -> None:
    v2 = folder(tmp_path, "/pod", memory_stat="anon 9\npgfault 40\npgmajfault 3\n")
    before = read(tmp_path, killed(v2, v2))
    assert before is not None
    assert before.events == Events(EventsOf(major_faults=3))
    v1 = folder(tmp_path, "/memory/pod", memory_stat="pgmajfault 3\ntotal_pgmajfault 8\n")
    before = read(tmp_path, killed(v1, v1))
    assert before is not None
    assert before.events == Events(EventsOf(major_faults=8))


def test_what_the_recorder_had_stays(tmp_path: Path) -> None:
    pod = folder(tmp_path, "/pod", memory_pressure=PRESSURE)
    recorded = Before(source=KERNEL, usage=Usage(domain=Recording(recorded_seconds=9)))
    before = read(tmp_path, killed(pod, pod, before=recorded))
    assert before is not None
    assert (before.source, before.usage) == (recorded.source, recorded.usage)
    assert before.pressure == Pressure(FOUND)
    assert before.events is None


@pytest.mark.parametrize("age", [-0.001, 2.001, 3600])
def test_it_is_not_of_the_kill_any_more(age: float, tmp_path: Path) -> None:
    pod = folder(tmp_path, "/pod", memory_pressure=PRESSURE)
    assert read(tmp_path, killed(pod, pod, boot_ns=NOW_NS - round(age * 1e9))) is None


def test_another_cgroup_has_the_path_by_now(tmp_path: Path) -> None:
    pod = folder(tmp_path, "/pod", memory_pressure=PRESSURE)
    assert read(tmp_path, killed(pod + 1, pod + 1)) is None
    assert read(tmp_path, killed(None, None)) is None


@pytest.mark.parametrize("path", [None, "", "/gone", "…/cut", "/a/…/cut", "/a\\xff", "/\0"])
def test_a_path_of_no_use(path: str | None, tmp_path: Path) -> None:
    pod = folder(tmp_path, "/pod", memory_pressure=PRESSURE)
    given = killed(pod, pod).changed(domain=Domain(cgroup=path, cgroup_id=pod))
    assert read(tmp_path, given) is None


@pytest.mark.parametrize(
    ("pressure", "expected"),
    [
        ("", None),
        ("some\n", None),
        ("some avg10=nothing avg60=1 avg300=1\n", None),
        ("some avg10=1.00 avg60=1.00 avg300=1.00 total=1\n", Stalls(Averages(1.0, 1.0, 1.0))),
    ],
)
def test_a_file_of_another_form(pressure: str, expected: Stalls | None, tmp_path: Path) -> None:
    events = "max ?\n" if pressure else "max\n"
    pod = folder(tmp_path, "/pod", memory_pressure=pressure, memory_events=events)
    before = read(tmp_path, killed(pod, pod))
    assert (before and before.pressure and before.pressure.domain) == expected
    assert before is None or before.events is None


def test_of_a_group_once(tmp_path: Path) -> None:
    """Further victims come as incidents of the same number: of thousands each would be read."""
    pod = folder(tmp_path, "/pod", memory_pressure=PRESSURE)
    reader = PressureReader(str(tmp_path), boot_ns=lambda: NOW_NS)
    assert reader(killed(pod, pod)).before is not None
    assert reader(killed(pod, pod)).before is None
    assert reader(killed(pod, pod, boot_ns=NOW_NS - 1)).before is not None


def test_by_the_systems_own_clock(tmp_path: Path) -> None:
    pod = folder(tmp_path, "/pod", memory_pressure=PRESSURE)
    given = killed(pod, pod, boot_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    before = PressureReader(str(tmp_path))(given).before
    assert before is not None
    assert before.read_after_seconds is not None
