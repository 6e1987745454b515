# SPDX-License-Identifier: Apache-2.0
"""memory.pressure, memory.events, memory.stat of a real kill, held against the files themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from container_oomkill.incident.pressure import LATEST_SECONDS, PressureReader
from container_oomkill.units import NS

from ..support.incidents import incident, victim
from ..support.kernel.cgroups import UNIFIED, Cgroup, is_hybrid, is_v1
from ..support.kernel.processes import Hog, Recorder

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]


def content(path: Path) -> str | None:
    """None where the kernel has no such file, or has it off."""
    try:
        return path.read_text()
    except OSError:
        return None


def test_of_a_kill(recorder: Recorder, make_cgroups: MakeCgroups, hog: StartHog) -> None:
    (cgroup,) = make_cgroups("/oomkill-pressure")
    cgroup.limit(32)
    assert hog(cgroup, "anon 64").was_killed()
    record = recorder.record()
    before = record["before"] or {"events": None}
    if before["events"] is None:  # by design, where the reader came late
        since = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - record["boot_ns"]) / NS
        assert since > LATEST_SECONDS
        return
    events = before["events"]["domain"]
    stat = dict(line.split() for line in cgroup.read("memory.stat").splitlines())
    assert 0 <= events["major_faults"] <= int(stat["pgmajfault"])
    if is_v1():
        assert (before["pressure"], events["max"], events["high"]) == (None, None, None)
        return
    now = dict(line.split() for line in cgroup.read("memory.events").splitlines())
    assert 0 < events["max"] <= int(now["max"])
    assert events["high"] == 0
    assert before["events"]["victim"] is None  # it is the domain
    assert 0 <= before["read_after_seconds"] <= LATEST_SECONDS
    if content(cgroup.folder / "memory.pressure") is None:
        assert before["pressure"] is None
    else:
        stalls = before["pressure"]["domain"]
        for averages in (stalls["some"], stalls["full"]):
            assert averages.keys() == {"avg10", "avg60", "avg300"}
            assert all(0 <= average <= 100 for average in averages.values())


def test_the_reader_has_the_files_own_numbers() -> None:
    """Of whatever cgroup this runs in or below, on cgroup v2, or v2 beside v1."""
    root = UNIFIED if is_hybrid() else Path("/sys/fs/cgroup")
    made = root / "oomkill-pressure-read"
    made.mkdir()
    try:
        number = made.stat().st_ino
        there = str(made).removeprefix("/sys/fs/cgroup")
        one = victim(cgroup=there, cgroup_id=number)
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        given = incident(domain=None, victims=(one,), boot_ns=now)
        before = PressureReader()(given).before
        text = content(made / "memory.pressure")
    finally:
        made.rmdir()
    found = None if before is None or before.pressure is None else before.pressure.victim
    assert (found is None) is (text is None)
    if text is not None:
        assert found is not None
        assert found.some is not None
        first = dict(field.split("=") for field in text.splitlines()[0].split()[1:])
        assert found.some.avg300 == float(first["avg300"])
