# SPDX-License-Identifier: Apache-2.0
"""Ten thousand processes killed as one group, the exporter at the memory limit it is shipped with.

In a guest fewer, unless told otherwise (--group), and the ring has room for all of them: few are
killed faster than a Python reads whose CPU is emulated. Of ten thousand the kernel goes through all
for each that it kills; that takes longer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from container_oomkill.incident.group import LISTED

from ..support.kernel.cgroups import MIB, Cgroup
from ..support.kernel.exporter import Exporter, address_of
from ..support.kernel.processes import COMMAND, Hog
from ..support.waiting import eventually

pytestmark = pytest.mark.needs("cgroup v2")

EACH_KIB = 256  # more than a process takes that only waits: its stack, page tables, what it wrote
SHIPPED_MIB = 64  # MemoryMax= of the unit, limits.memory of the manifests
NEIGHBOURS = 5
FEW, ROOM_FOR_FEW = 1000, ["--ring-bytes", str(4 << 20)]
HOUR = 3600.0

MakeCgroups = Callable[..., list[Cgroup]]
StartHog = Callable[..., Hog]
Say = Callable[[str], None]


@pytest.fixture
def processes(pytestconfig: pytest.Config) -> int:
    chosen: int = pytestconfig.getoption("--group")
    return chosen


@pytest.fixture
def exporter(
    hook: str, processes: int, make_cgroups: MakeCgroups, tmp_path: Path, say: Say
) -> Iterator[Exporter]:
    (limited,) = make_cgroups("/oomkill-exporter")
    limited.limit(SHIPPED_MIB)
    command = [sys.executable, str(COMMAND), "exporter", "--hook", hook, "--log.incidents", "off"]
    command += ["--web.listen-address", "127.0.0.1:0", "--history", str(tmp_path / "history")]
    command += ROOM_FOR_FEW if processes < FEW else []
    process = subprocess.Popen(
        command,
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
        preexec_fn=limited.enter,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Exporter(process, address_of(process))
    finally:
        say(f"large group: the exporter's cgroup had {limited.peak_bytes() >> 20} MiB at most")
        process.kill()
        process.communicate()


def test_none_is_lost_and_the_exporter_lives(
    exporter: Exporter,
    processes: int,
    make_cgroups: MakeCgroups,
    hog: StartHog,
    tmp_path: Path,
    say: Say,
) -> None:
    group, neighbour = make_cgroups("/oomkill-crowd", "/oomkill-neighbour")
    group.limit((processes * EACH_KIB >> 10) + 256)
    neighbour.limit(16)
    group.write("memory.oom.group", "1")
    # It is spared, and its children die of the group's kill alone, not of their parent's end.
    hog(group, f"name crowd children {processes} adj -1000 ready wait").ready()
    asking = hog(group, "name asking ready go anon 128").ready()
    group.limit(int(group.read("memory.current")) // MIB + 32)
    began = time.monotonic()
    asking.go()
    eventually(lambda: asking.process.poll() is not None, HOUR)
    took = time.monotonic() - began
    others = [hog(neighbour, "anon 32") for _ in range(NEIGHBOURS)]
    assert all(process.was_killed() for process in (asking, *others))
    # The kernel may count the chosen one twice.
    assert group.oom_kills() - (processes + 1) in (0, 1)

    def counted(cgroup: Cgroup) -> float:
        return sum(
            float(line.split()[-1])
            for line in exporter.get("/metrics").splitlines()
            if line.startswith("container_oomkill_total{") and f'"{cgroup.path[1:]}"' in line
        )

    eventually(lambda: counted(neighbour) == NEIGHBOURS or exporter.process.poll(), HOUR)
    lost = exporter.value('container_oomkill_lost_total{reason="ring_full"}')
    say(f"large group: {processes + 1} killed in {took:.1f} s, {lost} lost")
    assert (lost, counted(group)) == (0, processes + 1)
    lines = (tmp_path / "history").read_bytes().splitlines()
    [line] = [each for each in lines if b'"unlisted":{' in each]
    record = json.loads(line)
    say(f"large group: its record has {len(line)} bytes")
    assert len(record["victims"]) == LISTED
    assert record["unlisted"]["victims"] == processes + 1 - LISTED
    [counts] = record["unlisted"]["cgroups"]
    assert counts == {"cgroup_id": group.id(), "victims": processes + 1 - LISTED}
    assert len(line) < MIB
