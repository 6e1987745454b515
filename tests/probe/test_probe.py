# SPDX-License-Identifier: Apache-2.0
"""What the attached probe says of itself. Files stand for its maps: tests/support/pinned.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from container_oomkill import libbpf
from container_oomkill.incident import wire
from container_oomkill.libbpf.core_types import KERNEL_TYPES, CoreTypes
from container_oomkill.probe.attach import marks_have_tasks
from container_oomkill.probe.probe import Probe

from ..support.pinned import FolderPins, Link, Loaded, keep, on_files

Make = Callable[..., Probe]


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return on_files(monkeypatch, tmp_path / "bpf")


@pytest.fixture
def make(proc: str, tmp_path: Path) -> Make:
    del proc  # maps are files from here on

    def make(hook: str = "fentry", *, types: str | None = None, scans: bool = True) -> Probe:
        folder = tmp_path / f"maps-{len(list(tmp_path.iterdir()))}"
        loaded = cast("Any", Loaded(folder, records=3, kills=2, lost_ring_full=1))
        with CoreTypes(types or "/none") as read:
            tasks = marks_have_tasks(read)
        links = cast("Any", [Link()])
        return Probe(hook, loaded, links=links, scans=scans, marks_have_tasks=tasks)

    return make


def test_what_it_counts_and_holds(make: Make) -> None:
    with make() as probe:
        assert probe.counters()["kills"] == 2
        assert probe.counters()["lost_ring_full"] == 1
        assert probe.ring_use() == (3, 4096)
        assert probe.kernel == os.uname().release
        assert probe.attached_at() > 0


@pytest.mark.parametrize("hook", ["fentry", "kprobe"])
def test_hooks_of_functions_tell_all_but_what_the_kernel_lacks(make: Make, hook: str) -> None:
    with make(hook) as probe:
        assert set(probe.features().values()) == {True}
        probe.enter_earlier_counts([("/a", 1, 1, 1)])  # nothing to tell: they see kills themselves
    with make(hook, scans=False) as probe:
        lacking = [name for name, there in probe.features().items() if not there]
        assert lacking == ["candidates"]


@pytest.mark.skipif(not Path(KERNEL_TYPES).exists(), reason=f"this kernel has no {KERNEL_TYPES}")
def test_a_tracepoint_that_gives_the_task_tells_every_victim(make: Make) -> None:
    """From v6.8 its event has the victim's uid, so it is given the task."""
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    with make("raw_tracepoint", types=KERNEL_TYPES, scans=False) as probe:
        assert probe.features()["every_victim"] is (version >= (6, 8))
        assert probe.features()["oom_control"] is False


def test_types_that_cannot_be_read_say_nothing_of_it(make: Make) -> None:
    with make("raw_tracepoint", types=None, scans=False) as probe:
        assert set(probe.features().values()) == {False}


def test_closing_detaches_once_and_frees(make: Make) -> None:
    probe = make()
    (link,) = cast("Any", probe._links)
    maps = cast("Any", probe._maps)
    assert probe.attached
    probe.close()
    assert not probe.attached
    assert link.closed
    assert maps.closed


def test_the_raw_tracepoint_is_told_of_earlier_kills(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, bytes, bytes]] = []

    class Object(Loaded):
        def write_new(self, name: str, key: bytes, value: bytes) -> bool:
            written.append((name, key, value))
            return True

    monkeypatch.setattr(libbpf, "LoadedObject", Object)
    with make("raw_tracepoint", scans=False) as probe:
        probe.enter_earlier_counts([("/a", 7, 3, 4), ("/b", 8, 0, 2)])
        assert not written  # taken up again: the maps of an earlier process know
        cast("Any", probe._maps).__class__ = Object
        probe.enter_earlier_counts([("/a", 7, 3, 4), ("/b", 8, 0, 2)])
    entered = wire.u64(3 | wire.lib.OOMKILL_ENTERED)
    assert written == [
        ("kills_seen", wire.u64(7), entered),
        ("ooms_seen", wire.u64(7), wire.u64(4)),
        ("ooms_seen", wire.u64(8), wire.u64(2)),
    ]


def test_it_goes_on_from_pins_and_closes_them(make: Make, proc: str, tmp_path: Path) -> None:
    pins = FolderPins(str(tmp_path / "bpf/pins"), proc=proc)
    keep(pins, Loaded(tmp_path / "older", records=1), checksum=1)
    keep(pins, Loaded(tmp_path / "newer"), checksum=2)
    with make() as probe:
        probe.number = 2
        probe.resume_from(pins, 40)
        assert [each.number for each in probe.older] == [1]
        assert (probe.discarded, probe.checkpoint.kills) == (0, 40)
        assert probe.checkpoint is pins.checkpoint
    FolderPins(str(tmp_path / "bpf/pins"), proc=proc).close()  # nothing holds the lock
