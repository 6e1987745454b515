# SPDX-License-Identifier: Apache-2.0
"""The sampler on a cgroup file system of files: what comes, what goes, how many it may keep."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from container_oomkill.incident.before import KERNEL, SAMPLER, Before, Limit
from container_oomkill.incident.model import Domain, Incident
from container_oomkill.recorder.sampler import Sampler, find_layout
from container_oomkill.recorder.settings import RecorderSettings

from ..support.incidents import MIB, incident, victim

SECOND = 1_000_000_000


class Machine:
    """cgroup v2 on disk, and a clock."""

    def __init__(self, root: Path, max_cgroups: int = 99) -> None:
        self.folder = root / "sys/fs/cgroup"
        self.cgroup("app", 1)
        (self.folder / "cgroup.controllers").write_text("cpu memory pids\n")
        layout = find_layout(str(root))
        assert layout == (str(self.folder), "memory.current", "memory.max")
        self.now = 100 * SECOND
        self.walk_ns = 0  # how long one takes
        self.kills = 0
        self.sampler = Sampler(
            RecorderSettings(max_cgroups=max_cgroups), layout, boot_ns=self.boot_ns
        )

    def boot_ns(self) -> int:
        now = self.now
        self.now += self.walk_ns
        return now

    def cgroup(self, path: str, mib: int, limit: str = "max\n") -> int:
        made = self.folder / path
        made.mkdir(parents=True, exist_ok=True)
        (made / "memory.current").write_text(f"{mib * MIB}\n")
        (made / "memory.max").write_text(limit)
        return made.stat().st_ino

    def tick(self) -> None:
        self.now += SECOND
        self.sampler.sample()

    def killed(
        self,
        domain: int,
        own: int | None = None,
        before: Before | None = None,
        boot_ns: int | None = None,
    ) -> Incident:
        self.kills += 1
        return self.sampler(
            incident(
                boot_ns=self.now + SECOND // 2 if boot_ns is None else boot_ns,
                sequence=self.kills,
                before=before,
                domain=Domain(cgroup="/app", cgroup_id=domain),
                victims=(victim(cgroup="/app", cgroup_id=domain if own is None else own),),
            )
        )


def used(found: Incident, which: str = "domain") -> tuple[int | None, ...]:
    """MiB, by the finest series."""
    assert found.before is not None
    assert found.before.source == SAMPLER
    recording = getattr(found.before.usage, which)
    assert recording is not None
    return tuple(
        None if value is None else value // MIB for value in recording.series[0].usage_bytes
    )


def test_of_the_domain_and_the_victims_cgroup(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for mib in (1, 2, 3):
        app = machine.cgroup("app", 10 + mib, f"{64 * MIB}\n")
        below = machine.cgroup("app/worker", mib)
        machine.tick()
    found = machine.killed(app, below)
    assert used(found) == (11, 12, 13)
    assert used(found, "victim") == (1, 2, 3)
    assert found.before is not None
    assert found.before.usage.domain is not None
    assert found.before.usage.domain.whole_life is False  # it was there before
    assert found.before.usage.domain.limits == (Limit(2.5, 64 * MIB),)
    status = machine.sampler.status()
    assert (status["walks"], status["cgroups"], status["recorded"]) == (3, 2, 2)


def test_a_walk_that_the_kill_came_into_is_left_out(tmp_path: Path) -> None:
    """It may have read what the killed process had given back by then."""
    machine = Machine(tmp_path)
    for mib in (11, 12):
        app = machine.cgroup("app", mib)
        machine.tick()
    before = machine.now + SECOND
    machine.walk_ns = 4 * SECOND // 10
    machine.cgroup("app", 3)
    machine.tick()
    assert used(machine.killed(app, boot_ns=before + SECOND // 10)) == (11, 12)
    assert used(machine.killed(app, boot_ns=before + machine.walk_ns)) == (11, 12, 3)


def test_one_that_is_made_later_is_known_from_its_beginning(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.tick()
    late = machine.cgroup("late", 5)
    machine.tick()
    found = machine.killed(late).before
    assert found is not None
    assert found.usage.domain is not None
    assert found.usage.domain.whole_life is True


def test_another_of_the_same_name_is_another(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    first = machine.cgroup("job", 5)
    machine.tick()
    for name in ("memory.current", "memory.max"):
        (machine.folder / "job" / name).unlink()
    (machine.folder / "job").rename(machine.folder.parent / "gone")
    machine.tick()
    machine.tick()
    second = machine.cgroup("job", 6)
    assert second != first
    machine.tick()
    assert used(machine.killed(second)) == (6,)
    gone = machine.killed(first).before
    assert gone is not None
    assert gone.usage.domain is None
    assert machine.sampler.status()["recorded"] == 2


def test_no_more_than_there_is_room_for(tmp_path: Path) -> None:
    machine = Machine(tmp_path, max_cgroups=2)
    for number in range(5):
        machine.cgroup(f"c{number}", 1)
    machine.tick()
    status = machine.sampler.status()
    assert (status["cgroups"], status["recorded"]) == (6, 2)


def test_once_and_not_where_the_kernel_has_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    app = machine.cgroup("app", 1)
    machine.tick()
    recorded = Before(source=KERNEL)
    assert machine.killed(app, before=recorded).before is recorded
    first = machine.killed(app)
    assert first.before is not None
    again = machine.sampler(first.changed(before=None))  # of a group, the next victim
    assert again.before is None


def test_it_closes_what_it_opened(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    machine.tick()
    assert len(os.listdir("/proc/self/fd")) == opened + 1  # noqa: PTH208
    machine.sampler.start()
    machine.sampler.close()
    assert len(os.listdir("/proc/self/fd")) == opened  # noqa: PTH208


@pytest.mark.parametrize("controllers", [None, "cpu pids\n"])
def test_no_memory_to_be_seen(controllers: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "sys/fs/cgroup"
    (folder / "app").mkdir(parents=True)
    if controllers is not None:
        (folder / "cgroup.controllers").write_text(controllers)
    assert find_layout(str(tmp_path)) is None


def test_a_system_that_has_made_no_cgroup_yet(tmp_path: Path) -> None:
    folder = tmp_path / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("memory\n")
    assert find_layout(str(tmp_path)) == (str(folder), "memory.current", "memory.max")


def test_cgroup_v1(tmp_path: Path) -> None:
    made = tmp_path / "sys/fs/cgroup/memory/app"
    made.mkdir(parents=True)
    (made.parent / "memory.usage_in_bytes").write_text("1\n")
    (made / "memory.usage_in_bytes").write_text(f"{3 * MIB}\n")
    (made / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    layout = find_layout(str(tmp_path))
    assert layout is not None
    sampler = Sampler(RecorderSettings(), layout, boot_ns=lambda: 100 * SECOND)
    sampler.sample()
    domain = Domain(cgroup="/app", cgroup_id=made.stat().st_ino)
    found = sampler(incident(boot_ns=100 * SECOND + 5, domain=domain)).before
    assert found is not None
    assert found.usage.domain is not None
    assert found.usage.domain.limits == (Limit(0.0, None),)
    assert found.usage.domain.series[0].usage_bytes == (3 * MIB,)
