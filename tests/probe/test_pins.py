# SPDX-License-Identifier: Apache-2.0
"""The folder of pins: its names, its lock, what is taken up again and what is removed.

With the kernel's own maps and links: tests/kernel/test_pins.py.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from container_oomkill import libbpf
from container_oomkill.errors import BpfError, HeldError, UnsupportedError
from container_oomkill.incident import wire
from container_oomkill.probe import pins
from container_oomkill.probe.own_folder import OwnFolder
from container_oomkill.probe.pins import DEFAULT_FOLDER, Generation, bpf_mounts

from ..support.pinned import PROGRAMS, FolderPins, Link, Loaded, RecordedRing, keep, on_files

LAYOUT = wire.lib.OOMKILL_LAYOUT


@pytest.fixture
def bpf(tmp_path: Path) -> Path:
    return tmp_path / "bpf fs"


@pytest.fixture
def proc(bpf: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return on_files(monkeypatch, bpf)


@pytest.fixture
def folder(proc: str) -> Path:
    """The usual one, on the file system of the test's own."""
    del proc  # it says where that is
    return Path(pins.DEFAULT_FOLDER)


def test_the_usual_folder_is_on_no_other_mount(
    bpf: Path, proc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever mounted another, for its own use, decides who may write there."""
    monkeypatch.setattr(pins, "DEFAULT_FOLDER", DEFAULT_FOLDER)
    assert bpf_mounts(proc) == [str(bpf)]
    assert DEFAULT_FOLDER == "/sys/fs/bpf/container-oomkill"
    words = f"pin the hooks in {DEFAULT_FOLDER}: not on a bpf file system: mount -t bpf bpf /sys"
    with pytest.raises(UnsupportedError, match=words):
        FolderPins(proc=proc)
    assert list(bpf.iterdir()) == []
    assert bpf_mounts(str(tmp_path)) == ["/sys/fs/bpf"]  # /proc does not say


@pytest.mark.parametrize(
    "name", ["checkpoint-1", "1-layout1-fentry", "1-layout1-fentry-89ABCDEF", "x-layout1-f-0"]
)
def test_other_names_are_no_generations(name: str, folder: Path, proc: str) -> None:
    with pytest.raises(ValueError, match=name):
        Generation(OwnFolder("/x", -1), name)
    with FolderPins(proc=proc) as kept:
        if name != pins.CHECKPOINT:
            (folder / name).mkdir()
        assert kept.generations() == []


def test_what_was_kept_is_taken_up_again(folder: Path, proc: str, tmp_path: Path) -> None:
    loaded = Loaded(tmp_path / "maps", records=2, kills=7)
    with FolderPins(proc=proc) as kept:
        assert kept.resumable("fentry", 0xABC, PROGRAMS) is None
        assert keep(kept, loaded) == 1
    name = f"1-layout{LAYOUT}-fentry-00000abc"
    maps = {"ring", "functions", "counters"}
    assert {each.name for each in (folder / name).iterdir()} == {*maps, *PROGRAMS}
    with FolderPins(proc=proc) as kept:
        found = kept.resumable("fentry", 0xABC, PROGRAMS)
        assert found is not None
        assert (found.number, found.hook, found.records()) == (1, "fentry", 2)
        assert found.counters()["kills"] == 7
        assert found.attached_at() == (folder / name / "counters").stat().st_mtime
        found.close()
        assert kept.resumable("kprobe", 0xABC, PROGRAMS) is None
        assert kept.resumable("fentry", 0xABD, PROGRAMS) is None
        assert kept.resumable("fentry", 0xABC, (*PROGRAMS, "another")) is None


def test_what_cannot_be_pinned_leaves_nothing(folder: Path, proc: str, tmp_path: Path) -> None:
    loaded = cast("Any", Loaded(tmp_path / "maps"))
    refused = BpfError(errno.EINVAL, "pin fentry_kill", "invalid argument")
    with FolderPins(proc=proc) as kept:
        links = cast("Any", {"mark_victim": Link(), "fentry_kill": Link(refused)})
        with pytest.raises(BpfError, match="pin fentry_kill: invalid argument"):
            kept.keep("fentry", 1, loaded, links)
        assert kept.generations() == []
    assert [each.name for each in folder.iterdir()] == [pins.CHECKPOINT]


def test_half_pinned_ones_go_at_the_next_start(folder: Path, proc: str, tmp_path: Path) -> None:
    with FolderPins(proc=proc) as kept:
        keep(kept, Loaded(tmp_path / "maps"))
    half = folder / f"2-layout{LAYOUT}-fentry-00000abd"
    half.mkdir()
    (half / "ring").touch()
    with FolderPins(proc=proc) as kept:
        assert [each.number for each in kept.generations()] == [1]
    assert not half.exists()


def test_older_ones_are_read_first_and_foreign_ones_counted(
    folder: Path, proc: str, tmp_path: Path
) -> None:
    """1 was read to its end, 2 has another layout, 3 is to be read, 4 is ours."""
    with FolderPins(proc=proc) as kept:
        for number in range(1, 5):
            keep(kept, Loaded(tmp_path / f"maps{number}", records=number), checksum=number)
        kept.checkpoint.start(2, 10)
    foreign = folder / f"2-layout{LAYOUT}-fentry-00000002"
    foreign.rename(folder / f"2-layout{LAYOUT + 1}-fentry-00000002")
    with FolderPins(proc=proc) as kept:
        ring = cast("Any", RecordedRing(os.open(os.devnull, os.O_RDONLY)))
        older, discarded = kept.older(4, ring, 99)
        assert [each.number for each in older] == [3]
        assert discarded == 2
        assert (kept.checkpoint.generation, kept.checkpoint.kills) == (3, 10)
        assert [each.number for each in kept.generations()] == [3, 4]
        (last,) = older
        last.detach()
        assert {each.name for each in Path(last.folder).iterdir()} == set(pins.MAPS)
        last.close()


def test_the_first_start_counts_from_the_kernels_count(folder: Path, proc: str) -> None:
    assert not folder.exists()
    with FolderPins(proc=proc) as kept:
        ring = cast("Any", RecordedRing(os.open(os.devnull, os.O_RDONLY)))
        assert kept.older(1, ring, 99) == ([], 0)
        assert (kept.checkpoint.generation, kept.checkpoint.kills) == (1, 99)


def test_numbers_are_not_used_again(folder: Path, proc: str, tmp_path: Path) -> None:
    with FolderPins(proc=proc) as kept:
        keep(kept, Loaded(tmp_path / "one"))
        kept.checkpoint.start(5, None)
        assert keep(kept, Loaded(tmp_path / "two"), checksum=2) == 6
        assert [each.name for each in folder.iterdir() if each.name.startswith("6-")]


def test_unpin_removes_everything_and_says_what_was_left(
    folder: Path, proc: str, tmp_path: Path
) -> None:
    with FolderPins(proc=proc) as kept:
        keep(kept, Loaded(tmp_path / "one", records=1))
        keep(kept, Loaded(tmp_path / "two"), checksum=2)
        assert [records for _, records in kept.remove()] == [1, 0]
    assert not folder.exists()


def test_two_processes(folder: Path, proc: str) -> None:
    with FolderPins(proc=proc):
        with pytest.raises(HeldError, match=r"pins in .* are in use by another process"):
            FolderPins(proc=proc)  # its /proc/locks is of before
        code = (
            "import sys; from container_oomkill.probe import pins;"
            "pins.bpf_mounts = lambda proc: [sys.argv[1]];"
            "pins.Pins(sys.argv[2])"
        )
        command = [sys.executable, "-c", code, str(folder.parent), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        words = f"HeldError: pins in {folder} are in use by process {os.getpid()}: stop it"
        assert words in done.stderr
    with FolderPins(proc=proc):
        pass


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "make it writable"),
        (errno.ENOENT, "mount -t bpf"),
        (errno.EPERM, "run as root"),
    ],
)
def test_a_folder_that_cannot_be_made(
    number: int, remedy: str, folder: Path, proc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "mkdir", refuse)
    words = os.strerror(number).lower()
    with pytest.raises(UnsupportedError, match=f"pin the hooks in {folder}: {words}: {remedy}"):
        FolderPins(proc=proc)


def test_another_file_system_is_refused(tmp_path: Path, proc: str) -> None:
    with pytest.raises(UnsupportedError, match="not on a bpf file system: mount -t bpf bpf"):
        FolderPins(str(tmp_path / "elsewhere"), proc=proc)
    assert not (tmp_path / "elsewhere").exists()


def test_a_checkpoint_that_the_kernel_refuses(folder: Path, proc: str) -> None:
    class Refused(FolderPins):
        def _open_checkpoint(self) -> Any:
            raise BpfError(errno.EPERM, "make map checkpoint", "operation not permitted")

    words = "make map checkpoint: operation not permitted: run as root"
    with pytest.raises(UnsupportedError, match=words):
        Refused(proc=proc)
    with FolderPins(proc=proc):  # nothing holds the lock
        pass
    assert folder.is_dir()


def test_a_generation_that_leads_elsewhere_is_not_followed(
    folder: Path, proc: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    FolderPins(proc=proc).close()
    link = folder / f"1-layout{LAYOUT}-fentry-00000abc"
    link.symlink_to(elsewhere)
    with pytest.raises(UnsupportedError, match=f"{link} is a symbolic link"):
        FolderPins(proc=proc)
    assert (elsewhere / "precious").exists()


def test_what_is_no_ring_goes_at_the_next_start(
    folder: Path, proc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another map under its name, which the kernel does not poll, stops no start and no unpin."""

    class Polled(RecordedRing):
        def __init__(self, map_fd: int) -> None:
            super().__init__(map_fd)
            if self.records.startswith(b"no ring"):
                raise PermissionError(errno.EPERM, "operation not permitted")

    monkeypatch.setattr(libbpf, "Ring", Polled)
    with FolderPins(proc=proc) as kept:
        keep(kept, Loaded(tmp_path / "one"))
        keep(kept, Loaded(tmp_path / "two"), checksum=2)
    (folder / f"1-layout{LAYOUT}-fentry-00000abc" / "ring").write_bytes(b"no ring")
    with FolderPins(proc=proc) as kept:
        assert [each.number for each in kept.generations()] == [2]
