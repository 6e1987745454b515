# SPDX-License-Identifier: Apache-2.0
"""The kills of one user, or of one pod, fill the ring: a neighbour's are kept."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ..support.chaos.killing import Killing
from ..support.kernel.cgroups import Cgroup, cgroups
from ..support.kernel.processes import Hog, Recorder

pytestmark = pytest.mark.needs("the whole matrix")

RING_BYTES = 1 << 17  # some 30 kills
EACH = 40
NEIGHBOURS = 3
UID = 4242  # a user that this machine has not
BURSTABLE = "/kubepods.slice/kubepods-burstable.slice"
POD = f"{BURSTABLE}/kubepods-burstable-pod{'0' * 31}"
# Parents, then cgroups that one owner has made up, then one of another's.
OWNERS = {
    "a user": (
        ["/user.slice", f"/user.slice/user-{UID}.slice"],
        [f"/user.slice/user-{UID}.slice/evil-{number}" for number in range(2)],
        "/oomkill-neighbour",
    ),
    "a pod": (
        ["/kubepods.slice", BURSTABLE, f"{POD}0.slice", f"{POD}1.slice"],
        [f"{POD}0.slice/evil-{number}" for number in range(2)],
        f"{POD}1.slice/neighbour",
    ),
}

StartHog = Callable[..., Hog]


@pytest.mark.parametrize("owner", OWNERS)
def test_a_neighbours_kills_are_kept(owner: str, hook: str, hog: StartHog, tmp_path: Path) -> None:
    parents, evil, neighbour = OWNERS[owner]
    with cgroups(*parents, *evil, neighbour) as made:
        *_, first, second, its = made
        its.limit(16)
        with Recorder(hook, "--ring-bytes", str(RING_BYTES)) as recorder:
            recorder.process.send_signal(signal.SIGSTOP)
            for cgroup in (first, second):
                assert len(killed(tmp_path, cgroup)) == EACH
            others = [hog(its, "anon 32") for _ in range(NEIGHBOURS)]
            assert all(process.was_killed() for process in others)
            recorder.process.send_signal(signal.SIGCONT)
            wanted = {process.pid for process in others}
            told: list[int] = []
            while wanted - set(told):
                told.append(recorder.record()["victims"][0]["pid"])
            assert recorder.stop() == 0
            assert "ring buffer full" in recorder.errors()
        assert len(told) < 2 * EACH


def killed(folder: Path, cgroup: Cgroup) -> list[int]:
    with Killing(folder, cgroup, EACH) as killing:
        return killing.pids()
