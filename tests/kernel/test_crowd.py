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
SEVERAL = 12
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


def test_who_is_killed_now_and_then_is_no_crowd(hook: str, tmp_path: Path) -> None:
    """However long the ring stays full: it is what they have in it that counts."""
    parents, evil, neighbour = OWNERS["a user"]
    with cgroups(*parents, *evil, neighbour) as made:
        *_, first, second, its = made
        with Recorder(hook, "--ring-bytes", str(2 * RING_BYTES)) as recorder:
            recorder.process.send_signal(signal.SIGSTOP)
            killed(tmp_path, first)  # more than half of it
            wanted = set(killed(tmp_path, its, SEVERAL))
            killed(tmp_path, second, 2 * EACH)  # all that it takes, of small records too
            wanted |= set(killed(tmp_path, its, NEIGHBOURS))
            recorder.process.send_signal(signal.SIGCONT)
            while wanted:
                wanted -= {recorder.record()["victims"][0]["pid"]}
            assert recorder.stop() == 0
            assert "ring buffer full" in recorder.errors()


def killed(folder: Path, cgroup: Cgroup, times: int = EACH) -> list[int]:
    with Killing(folder, cgroup, times) as killing:
        return killing.pids()
